"""One command of the command line a file: it parses, calls one public function, and prints."""
