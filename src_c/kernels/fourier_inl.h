/* Discrete Fourier transforms of rows, of any length, in double from the first sum to the last; so what is stored is
   the float32 nearest to the true value but for a few. No word of an instruction set and no fused operation is used:
   every lane is plain C, whose bits are the same everywhere.

   Lengths whose prime factors are at most FS_FOURIER_PRIME go by mixed radices, decimated in time: the transforms of
   every p-th element, one for each of p places to begin, are joined by one of length p for each frequency. Other
   lengths go by Bluestein's convolution: j k = (j^2 + k^2 - (k - j)^2) / 2 makes of the sum a convolution with a chirp,
   which three transforms of a power of two compute. */

typedef struct {
    double re, im;
} fs_complex;

/* GCC 12 makes fused operations of a complex product, -ffp-contract=off or not, unless its parts are kept apart. */
FS_INLINE fs_complex fs_c_times(fs_complex a, fs_complex b)
{
    double rr = a.re * b.re, ii = a.im * b.im, ri = a.re * b.im, ir = a.im * b.re;
    V_IN_REGISTER(rr);
    V_IN_REGISTER(ii);
    V_IN_REGISTER(ri);
    V_IN_REGISTER(ir);
    return (fs_complex){rr - ii, ri + ir};
}
FS_INLINE fs_complex fs_c_plus(fs_complex a, fs_complex b) { return (fs_complex){a.re + b.re, a.im + b.im}; }
FS_INLINE fs_complex fs_c_minus(fs_complex a, fs_complex b) { return (fs_complex){a.re - b.re, a.im - b.im}; }

/* Roots of unity e^(2 pi i j / n), and the sign of the transform's exponent. */
typedef struct {
    const fs_complex *roots;
    int64_t n;
    double sign;
} fs_roots;

FS_INLINE fs_complex fs_root(const fs_roots *f, int64_t j)
{
    return (fs_complex){f->roots[j].re, f->sign * f->roots[j].im};
}

/* The radix that a transform of length n is split by first: 4 as long as it divides n, then the smallest prime. */
FS_INLINE int64_t fs_radix_of(int64_t n)
{
    if (n % 4 == 0)
        return 4;
    for (int64_t p = 2; p * p <= n; p++)
        if (n % p == 0)
            return p;
    return n;
}

/* Joins p transforms of length m that lie one behind the other in y. `apart`: of the whole's roots. */
static void fs_fourier_join(const fs_roots *f, fs_complex *y, int64_t p, int64_t m, int64_t apart)
{
    fs_complex v[FS_FOURIER_PRIME];
    for (int64_t u = 0; u < m; u++) {
        v[0] = y[u];
        for (int64_t q = 1; q < p; q++)
            v[q] = fs_c_times(y[u + q * m], fs_root(f, q * u * apart));
        if (p == 2) {
            y[u] = fs_c_plus(v[0], v[1]);
            y[u + m] = fs_c_minus(v[0], v[1]);
        } else if (p == 4) {
            const fs_complex even = fs_c_plus(v[0], v[2]), odd = fs_c_plus(v[1], v[3]);
            const fs_complex d = fs_c_minus(v[0], v[2]), e = fs_c_minus(v[1], v[3]);
            const fs_complex turned = {-f->sign * e.im, f->sign * e.re};
            y[u] = fs_c_plus(even, odd);
            y[u + m] = fs_c_plus(d, turned);
            y[u + 2 * m] = fs_c_minus(even, odd);
            y[u + 3 * m] = fs_c_minus(d, turned);
        } else {
            for (int64_t k = 0; k < p; k++) {
                fs_complex sum = v[0];
                for (int64_t q = 1; q < p; q++)
                    sum = fs_c_plus(sum, fs_c_times(v[q], fs_root(f, q * k % p * (f->n / p))));
                y[u + k * m] = sum;
            }
        }
    }
}

/* y (n) = the transform of every `apart`-th of f->n elements from x on. */
static void fs_fourier_part(const fs_roots *f, fs_complex *y, const fs_complex *x, int64_t n, int64_t apart)
{
    if (n == 1) {
        y[0] = x[0];
        return;
    }
    const int64_t p = fs_radix_of(n), m = n / p;
    for (int64_t q = 0; q < p; q++)
        fs_fourier_part(f, y + q * m, x + q * apart, m, apart * p);
    fs_fourier_join(f, y, p, m, apart);
}

/* y (n) = the transform of x (n) by Bluestein's convolution. b, c, d: room for m each, m the length of `f`; chirp (n) =
   e^(pi i j^2 / n). */
static void fs_fourier_chirp(const fs_fourier_args *a, fs_complex *y, const fs_complex *x, fs_complex *b, fs_complex *c,
                             fs_complex *d)
{
    const fs_complex *chirp = a->chirp;
    const int64_t n = a->n, m = a->padded;
    const double sign = (double)a->sign;
    const fs_roots forth = {a->roots, m, -1.0}, back = {a->roots, m, 1.0};
    for (int64_t j = 0; j < m; j++)
        b[j] = c[j] = (fs_complex){0.0, 0.0};
    for (int64_t j = 0; j < n; j++) {
        const fs_complex turn = {chirp[j].re, sign * chirp[j].im};
        const fs_complex against = {turn.re, -turn.im};
        b[j] = fs_c_times(x[j], turn);
        c[j] = against;
        if (j)
            c[m - j] = against;
    }
    fs_fourier_part(&forth, d, b, m, 1);
    fs_fourier_part(&forth, b, c, m, 1);
    for (int64_t j = 0; j < m; j++)
        c[j] = fs_c_times(d[j], b[j]);
    fs_fourier_part(&back, d, c, m, 1);
    for (int64_t k = 0; k < n; k++) {
        const fs_complex sum = {d[k].re / (double)m, d[k].im / (double)m};
        y[k] = fs_c_times(sum, (fs_complex){chirp[k].re, sign * chirp[k].im});
    }
}

/* The elements of one row that go into its transform. */
static void fs_fourier_read(const fs_fourier_args *a, fs_complex *x, int64_t row)
{
    const float *re = a->re + row * a->given, *im = a->im ? a->im + row * a->given : NULL;
    const int64_t n = a->n, count = fs_smaller(a->given, a->hermitian ? n / 2 + 1 : n);
    for (int64_t j = 0; j < n; j++)
        x[j] = (fs_complex){j < count ? (double)re[j] : 0.0, j < count && im ? (double)im[j] : 0.0};
    if (!a->hermitian)
        return;
    x[0].im = 0.0;
    if (n % 2 == 0)
        x[n / 2].im = 0.0;
    for (int64_t j = n / 2 + 1; j < n; j++)
        x[j] = (fs_complex){x[n - j].re, -x[n - j].im};
}

FS_INLINE float fs_fourier_rounded(double value)
{
    const float y = (float)value;
    return y != y ? __builtin_nanf("") : y;
}

/* Threads own groups of rows, each with scratch of its own. */
static void fs_fourier_transform(const fs_fourier_args *a, int64_t group)
{
    const int64_t groups = fs_smaller(a->rows, FS_FOURIER_GROUPS), length = a->padded ? a->padded : a->n;
    fs_complex *x = (fs_complex *)a->scratch + group * (a->padded ? 2 * a->n + 3 * length : 2 * a->n), *y = x + a->n;
    const fs_roots f = {a->roots, a->n, (double)a->sign};
    for (int64_t row = a->rows * group / groups; row < a->rows * (group + 1) / groups; row++) {
        fs_fourier_read(a, x, row);
        if (a->padded)
            fs_fourier_chirp(a, y, x, y + a->n, y + a->n + length, y + a->n + 2 * length);
        else
            fs_fourier_part(&f, y, x, a->n, 1);
        for (int64_t k = 0; k < a->wanted; k++) {
            double scale = a->doubled && k && 2 * k != a->n ? 2.0 : 1.0;
            if (a->divides)
                scale /= (double)a->n;
            a->y_re[row * a->wanted + k] = fs_fourier_rounded(y[k].re * scale);
            if (a->y_im)
                a->y_im[row * a->wanted + k] = fs_fourier_rounded(y[k].im * scale);
        }
    }
}

static int fs_fourier(const fs_fourier_args *a, const fs_share *share)
{
    for (int64_t group = share->row_lo; group < share->row_hi; group++)
        fs_fourier_transform(a, group);
    return 0;
}
