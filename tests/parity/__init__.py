"""Claims that methods give what their authors' code gives; `make parity` prints them as one table."""
