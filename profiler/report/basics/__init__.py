"""What all of report needs: quantiles, names of frames, words of Asterisk."""
