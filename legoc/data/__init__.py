"""Data before it is trained on: what is wrong with it, what it looks like, latents of it.

    findings.py  what is said of a set, as data
    examine.py   a set of images, read once from end to end
    latents.py   a folder of latents, the same
    near.py      images of two sets that look alike
    sheet.py     a contact sheet
    table.py     a report as text
    encode.py    images to latents through a VAE of diffusers

takes: a path; for latents the folder of a VAE
gives: `DataReport`; a picture; a folder of latents
may import: `legoc_runtime.{data,contract,errors}`, numpy, pillow; torch and diffusers in `encode.py` alone
"""
