"""How a group of workers does, as they and Kafka tell it: for the terminal and for the page."""
