"""Who may call: API keys, how they are issued, rotated and revoked, and the index that recognises them."""
