"""Camera pixels of a simulated scene: a low-poly painter in numpy and OpenCV, with exact boxes."""
