"""A language and a compiled executor for choosing the data that language models are fine-tuned on."""
