"""Problems bound to tensors."""
