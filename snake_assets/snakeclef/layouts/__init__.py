"""Layouts of raw data: what lies where in the folder, told apart by what it holds, behind one interface.

What is made of the rows and photos does not belong here (image_table), nor where the folder comes from (raw).
"""
