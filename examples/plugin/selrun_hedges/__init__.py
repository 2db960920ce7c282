"""Operations and methods about how surely a response speaks."""
