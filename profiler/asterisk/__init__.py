"""Finding an Asterisk, its ABI, its containers and its traversals."""
