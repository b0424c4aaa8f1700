"""OpenAI Chat Completions, as clients send it and as Copilot answers it."""
