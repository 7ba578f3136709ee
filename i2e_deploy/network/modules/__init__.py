"""What every importer of torch modules needs: which class a module is, what feeds what, its numbers, its own run."""
