"""Saturn Cloud: our client, the published one, and a stand-in for the API between them."""
