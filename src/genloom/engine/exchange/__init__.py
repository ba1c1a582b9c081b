"""Language models to and from the formats of other programs: transformers' folders, llama2.c's binaries, GGUF."""
