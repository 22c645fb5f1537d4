"""The wire of the OpenAI API: requests, answers, server-sent events and errors, read leniently."""
