"""This room shows a bundle in the browser. It needs the reader's packages and viser, neither nerfstudio nor a GPU."""
