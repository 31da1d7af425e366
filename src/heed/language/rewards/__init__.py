"""Reward functions of the recipes on real data, named as `module:function`; a person can check each score by hand."""
