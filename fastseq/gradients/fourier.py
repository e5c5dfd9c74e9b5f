"""Gradients of Fourier transforms, which are linear: transforms of the other sign."""

from fastseq.program.fourier import fourier_step


def fourier_rule(b, step):
    f = step["fields"]
    re, im, n = f["re"], f["im"], f["n"]
    assert not f["doubled"]  # only steps of gradients are
    d_re, d_im = b.of(f["y_re"]), None if f["y_im"] is None else b.of(f["y_im"])
    options = {"divides": bool(f["divides"]), "real": im is None}
    if f["hermitian"]:
        # Of a pair of conjugates both give to what they were made of.
        found = fourier_step(b.p, d_re, None, n, f["given"], -f["sign"], doubled=True, **options)
    else:
        if d_re is None:
            d_re = b.p.contiguous_copy(b.zeros(1), d_im.shape, [0] * len(d_im.shape))
        found = fourier_step(b.p, d_re, d_im, n, f["given"], -f["sign"], **options)
    for slot, gradient in zip((re, im), found):
        if slot is not None:
            b.add(slot, gradient)
