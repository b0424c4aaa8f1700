"""Google generateContent: the protocol of `/v1beta/models/{model}:generateContent`, as clients speak it."""
