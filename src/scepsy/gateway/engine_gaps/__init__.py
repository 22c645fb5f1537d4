"""What an engine lacks of the OpenAI API, done by the gateway in its stead."""
