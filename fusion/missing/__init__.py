"""Policies for modalities that items lack."""
