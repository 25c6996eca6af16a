// One Transformer block for sampling on CPUs with AVX-512, in float32: everything between its tokens and its tokens.
//
// Tokens lie in panels: [features][LANES], the features of LANES tokens, a token a lane of a register. So weights are
// read where they are, one number at a time, each for LANES tokens: there is no packed copy of them that could be stale.
// Sums over features, softmax and GELU go lane by lane. Panels of a chunk of tokens stay in the cache of a core from
// the first layer norm to the last residual, but for q, k and v, which other chunks of the same window read.
//
// A token's sums are taken in the same order whatever chunk, panel or thread it falls to: results are the same bits for
// any batch and any number of threads.

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace {

using Index = std::int64_t;

constexpr Index WIDE = 16;  // floats of a register
constexpr float LAYER_NORM_EPS = 1e-6f;

struct Weights {
  const float *qkv, *qkv_bias, *proj, *proj_bias, *fc1, *fc1_bias, *fc2, *fc2_bias;  // matrices are [outs][ins]
};

struct Sizes {
  Index rows;            // tokens of all windows of all images
  Index rows_per_image;  // tokens that share a row of the modulation
  Index window;          // tokens of a window
  Index width, hidden, heads;
  Index chunk;    // tokens that a thread takes at a time, a multiple of the lanes of a panel
  Index wave;     // tokens whose q, k and v are held at a time, a multiple of window and chunk, or all
  Index threads;  // at most
};

// ---- functions of a register -------------------------------------------------------------------------------------

// e^x within 2 ulp for |x| <= 87, beyond which x counts as 87: 2^n e^f with |f| <= log(2) / 2 (Cody and Waite, 1980).
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-87.0f), _mm512_min_ps(_mm512_set1_ps(87.0f), x));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  f = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), f);
  __m512 series = _mm512_set1_ps(1.0f / 720);
  for (const float term : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    series = _mm512_fmadd_ps(series, f, _mm512_set1_ps(term));
  return _mm512_scalef_ps(series, n);
}

// 1 / a: 14 bits and one Newton step.
inline __m512 reciprocal(__m512 a) {
  const __m512 near = _mm512_rcp14_ps(a);
  return _mm512_mul_ps(near, _mm512_fnmadd_ps(a, near, _mm512_set1_ps(2.0f)));
}

// The tanh GELU, h sigmoid(2 sqrt(2/pi) (h + 0.044715 h^3)) (`layers/activation.py`).
inline __m512 gelu(__m512 h) {
  constexpr float slope = 1.5957691216057308f;
  const __m512 square = _mm512_mul_ps(h, h);
  const __m512 z = _mm512_fmadd_ps(square, _mm512_set1_ps(-slope * 0.044715f), _mm512_set1_ps(-slope));
  return _mm512_mul_ps(h, reciprocal(_mm512_add_ps(_mm512_set1_ps(1.0f), exponential(_mm512_mul_ps(h, z)))));
}

inline void transpose(__m512 (&m)[WIDE]) {
  __m512 a[WIDE];
#pragma GCC unroll 16
  for (int i = 0; i < WIDE; i += 2) {
    a[i] = _mm512_unpacklo_ps(m[i], m[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps(m[i], m[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < WIDE; i += 4) {  // m[i + j]: column j of each fourth of rows i to i + 3
#pragma GCC unroll 16
    for (int j = 0; j < 2; j++) {
      const __m512d low = _mm512_castps_pd(a[i + j]), high = _mm512_castps_pd(a[i + j + 2]);
      m[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      m[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < 4; j++) {
    const __m512 even = _mm512_shuffle_f32x4(m[j], m[j + 4], 0x88), odd = _mm512_shuffle_f32x4(m[j], m[j + 4], 0xdd);
    const __m512 more = _mm512_shuffle_f32x4(m[j + 8], m[j + 12], 0x88);
    const __m512 most = _mm512_shuffle_f32x4(m[j + 8], m[j + 12], 0xdd);
    a[j] = _mm512_shuffle_f32x4(even, more, 0x88);
    a[j + 4] = _mm512_shuffle_f32x4(odd, most, 0x88);
    a[j + 8] = _mm512_shuffle_f32x4(even, more, 0xdd);
    a[j + 12] = _mm512_shuffle_f32x4(odd, most, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < WIDE; i++) m[i] = a[i];
}

// ---- products ----------------------------------------------------------------------------------------------------

enum Start { ZERO, BIAS, AS_IT_IS };
enum End { AS_SUM, ACTIVATED };

// c[o][lane] = start + sum over k of a[o][k] * b[k][lane], for O outputs and V registers of lanes, whose sums stay in
// registers. Rows of b and c lie STRIDE floats apart; a is read by strides: of outputs, of k. `next` is what a later tile
// reads in the place of a, or null: it is fetched meanwhile, since weights come from far away and are read once a chunk.
template <int V, int O, Index STRIDE, Index A_STEP, Start start, End end>
inline __attribute__((always_inline)) void tile(const float* __restrict a, Index a_row, const float* __restrict b,
                                                Index depth, const float* bias, float* __restrict c,
                                                const float* next) {
  __m512 sums[O][V];
#pragma GCC unroll 32
  for (int o = 0; o < O; o++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++)
      sums[o][v] = start == ZERO   ? _mm512_setzero_ps()
                   : start == BIAS ? _mm512_set1_ps(bias[o])
                                   : _mm512_loadu_ps(c + o * STRIDE + v * WIDE);
  for (Index line = 0; line < depth; line += WIDE) {
    if (next) {
#pragma GCC unroll 32
      for (int o = 0; o < O; o++)
        _mm_prefetch(reinterpret_cast<const char*>(next + o * a_row + line), _MM_HINT_T1);
    }
    const Index past = std::min(line + WIDE, depth);
#pragma GCC unroll 4
    for (Index k = line; k < past; k++) {
      __m512 lanes[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) lanes[v] = _mm512_loadu_ps(b + k * STRIDE + v * WIDE);
#pragma GCC unroll 32
      for (int o = 0; o < O; o++) {
        const __m512 weight = _mm512_set1_ps(a[o * a_row + k * A_STEP]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sums[o][v] = _mm512_fmadd_ps(weight, lanes[v], sums[o][v]);
      }
    }
  }
#pragma GCC unroll 32
  for (int o = 0; o < O; o++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++)
      _mm512_storeu_ps(c + o * STRIDE + v * WIDE, end == ACTIVATED ? gelu(sums[o][v]) : sums[o][v]);
}

// Outputs of a tile: with V registers of lanes and one weight they fill the 32 registers of the machine.
template <int V>
constexpr int OUTS = V == 4 ? 6 : V == 2 ? 12 : 24;

// Tiles over `outs` outputs and `panels` panels; a tile's weights serve every panel before the next tile.
template <int V, int O, Index STRIDE, Index A_STEP, Start start, End end>
void product(const float* a, Index a_row, const float* b, Index b_panel, Index depth, const float* bias, float* c,
             Index c_panel, Index outs, Index panels) {
  Index o = 0;
  for (; o + O <= outs; o += O)
    for (Index p = 0; p < panels; p++) {
      const bool fetches = start == BIAS && p == 0 && o + 2 * O <= outs;
      tile<V, O, STRIDE, A_STEP, start, end>(a + o * a_row, a_row, b + p * b_panel, depth,
                                             start == BIAS ? bias + o : nullptr, c + p * c_panel + o * STRIDE,
                                             fetches ? a + (o + O) * a_row : nullptr);
    }
  if constexpr (O > 1)
    if (o < outs)
      product<V, O / 2, STRIDE, A_STEP, start, end>(a + o * a_row, a_row, b, b_panel, depth,
                                                    start == BIAS ? bias + o : nullptr, c + o * STRIDE, c_panel,
                                                    outs - o, panels);
}

// A linear layer over panels [panels][ins][LANES] to [panels][outs][LANES].
template <int V, End end>
void linear(const float* weight, const float* bias, Index ins, Index outs, const float* from, float* to, Index panels) {
  constexpr Index LANES = V * WIDE;
  product<V, OUTS<V>, LANES, 1, BIAS, end>(weight, ins, from, ins * LANES, ins, bias, to, outs * LANES, outs, panels);
}

// ---- between rows and panels -------------------------------------------------------------------------------------

struct Rows {
  const float *tokens, *modulation;  // [rows][width], [images][6 * width]
  float* out;                        // [rows][width]
  Sizes size;

  Index last(Index row) const { return std::min(row, size.rows - 1); }
  const float* vector(Index row, int which) const {
    return modulation + (last(row) / size.rows_per_image * 6 + which) * size.width;
  }
};

// LN(x) (1 + scale) + shift of WIDE rows from `first` on, into lanes of a panel; rows past the last repeat it.
inline void modulated(const Rows& r, const float* x, Index first, int shift, float* panel, Index lanes) {
  const Index width = r.size.width;
  float mean[WIDE], factor[WIDE];
  for (int i = 0; i < WIDE; i++) {
    const float* row = x + r.last(first + i) * width;
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (Index d = 0; d < width; d += WIDE) sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + d));
    mean[i] = _mm512_reduce_add_ps(sum) / width;
    for (Index d = 0; d < width; d += WIDE) {
      const __m512 from_mean = _mm512_sub_ps(_mm512_loadu_ps(row + d), _mm512_set1_ps(mean[i]));
      squares = _mm512_fmadd_ps(from_mean, from_mean, squares);
    }
    factor[i] = 1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / width + LAYER_NORM_EPS);
  }
  for (Index d = 0; d < width; d += WIDE) {
    __m512 block[WIDE];
    for (int i = 0; i < WIDE; i++) {
      const __m512 one_and_scale =
          _mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_loadu_ps(r.vector(first + i, shift + 1) + d));
      const __m512 value = _mm512_loadu_ps(x + r.last(first + i) * width + d);
      const __m512 normed = _mm512_mul_ps(_mm512_sub_ps(value, _mm512_set1_ps(mean[i])), _mm512_set1_ps(factor[i]));
      block[i] = _mm512_fmadd_ps(normed, one_and_scale, _mm512_loadu_ps(r.vector(first + i, shift) + d));
    }
    transpose(block);
    for (int i = 0; i < WIDE; i++) _mm512_storeu_ps(panel + (d + i) * lanes, block[i]);
  }
}

// out = x + gate * panel for WIDE rows from `first` on; rows past the last are left out.
inline void added(const Rows& r, const float* x, Index first, int gate, const float* panel, Index lanes) {
  const Index width = r.size.width, count = std::min(WIDE, r.size.rows - first);
  for (Index d = 0; d < width; d += WIDE) {
    __m512 block[WIDE];
    for (int i = 0; i < WIDE; i++) block[i] = _mm512_loadu_ps(panel + (d + i) * lanes);
    transpose(block);
    for (Index i = 0; i < count; i++) {
      const Index at = (first + i) * width + d;
      const __m512 gated = _mm512_fmadd_ps(_mm512_loadu_ps(r.vector(first + i, gate) + d), block[i],
                                           _mm512_loadu_ps(x + at));
      _mm512_storeu_ps(r.out + at, gated);
    }
  }
}

// ---- attention ---------------------------------------------------------------------------------------------------

// Windows of L tokens inside a register, L a divisor of WIDE: keys are rotated past the queries of their window.
template <int L>
void attend_inside(const float* q, const float* k, const float* v, float* out, Index lanes, Index head) {
  __m512i turned[L];
  __m512 weights[L];
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#pragma GCC unroll 16
  for (int j = 0; j < L; j++) {
    const __m512i within = _mm512_and_si512(_mm512_add_epi32(lane, _mm512_set1_epi32(j)), _mm512_set1_epi32(L - 1));
    turned[j] = _mm512_or_si512(_mm512_and_si512(lane, _mm512_set1_epi32(~(L - 1))), within);
    weights[j] = _mm512_setzero_ps();
  }
  for (Index d = 0; d < head; d++) {
    const __m512 query = _mm512_loadu_ps(q + d * lanes), key = _mm512_loadu_ps(k + d * lanes);
#pragma GCC unroll 16
    for (int j = 0; j < L; j++) weights[j] = _mm512_fmadd_ps(query, _mm512_permutexvar_ps(turned[j], key), weights[j]);
  }
  __m512 most = weights[0], sum = _mm512_setzero_ps();
#pragma GCC unroll 16
  for (int j = 1; j < L; j++) most = _mm512_max_ps(most, weights[j]);
  const __m512 scale = _mm512_set1_ps(1.0f / std::sqrt(static_cast<float>(head)));
#pragma GCC unroll 16
  for (int j = 0; j < L; j++) {
    weights[j] = exponential(_mm512_mul_ps(scale, _mm512_sub_ps(weights[j], most)));
    sum = _mm512_add_ps(sum, weights[j]);
  }
  const __m512 one = reciprocal(sum);
  for (Index d = 0; d < head; d++) {
    const __m512 value = _mm512_loadu_ps(v + d * lanes);
    __m512 mixed = _mm512_setzero_ps();
#pragma GCC unroll 16
    for (int j = 0; j < L; j++) mixed = _mm512_fmadd_ps(weights[j], _mm512_permutexvar_ps(turned[j], value), mixed);
    _mm512_storeu_ps(out + d * lanes, _mm512_mul_ps(mixed, one));
  }
}

// G registers of queries of one window of a multiple of WIDE tokens. `kv`: the whole qkv; keys from token `begin` on.
template <int V, int G>
void attend_across(const float* q, const float* qkv, Index begin, Index head_at, float* out, float* logits,
                   const Sizes& s) {
  constexpr Index LANES = V * WIDE;
  const Index head = s.width / s.heads, panel = 3 * s.width * LANES;
  const auto each_piece = [&](auto run) {  // the keys of a window lie in one panel or in several
    for (Index j = 0; j < s.window;) {
      const Index token = begin + j, lane = token % LANES, count = std::min(LANES - lane, s.window - j);
      run(qkv + token / LANES * panel + head_at * LANES + lane, j, count);
      j += count;
    }
  };
  each_piece([&](const float* piece, Index j, Index count) {
    product<G, OUTS<G>, LANES, LANES, ZERO, AS_SUM>(piece + s.width * LANES, 1, q, 0, head, nullptr,
                                                    logits + j * LANES, 0, count, 1);
  });
  __m512 most[G], sum[G];
  const __m512 scale = _mm512_set1_ps(1.0f / std::sqrt(static_cast<float>(head)));
  for (int g = 0; g < G; g++) most[g] = _mm512_loadu_ps(logits + g * WIDE), sum[g] = _mm512_setzero_ps();
  for (Index j = 1; j < s.window; j++)
    for (int g = 0; g < G; g++) most[g] = _mm512_max_ps(most[g], _mm512_loadu_ps(logits + j * LANES + g * WIDE));
  for (Index j = 0; j < s.window; j++)
    for (int g = 0; g < G; g++) {
      float* at = logits + j * LANES + g * WIDE;
      const __m512 weight = exponential(_mm512_mul_ps(scale, _mm512_sub_ps(_mm512_loadu_ps(at), most[g])));
      sum[g] = _mm512_add_ps(sum[g], weight);
      _mm512_storeu_ps(at, weight);
    }
  each_piece([&](const float* piece, Index j, Index count) {
    const float *values = piece + 2 * s.width * LANES, *weights = logits + j * LANES;
    if (j == 0)
      product<G, OUTS<G>, LANES, 1, ZERO, AS_SUM>(values, LANES, weights, 0, count, nullptr, out, 0, head, 1);
    else
      product<G, OUTS<G>, LANES, 1, AS_IT_IS, AS_SUM>(values, LANES, weights, 0, count, nullptr, out, 0, head, 1);
  });
  for (int g = 0; g < G; g++) sum[g] = reciprocal(sum[g]);
  for (Index d = 0; d < head; d++)
    for (int g = 0; g < G; g++) {
      float* at = out + d * LANES + g * WIDE;
      _mm512_storeu_ps(at, _mm512_mul_ps(_mm512_loadu_ps(at), sum[g]));
    }
}

// Attention of the queries of a chunk, tokens `first` to `past`: panels [panels][width][LANES].
template <int V>
void attend(const float* qkv, Index first, Index past, float* out, float* logits, const Sizes& s) {
  constexpr Index LANES = V * WIDE;
  const Index head = s.width / s.heads;
  const bool together = s.window > WIDE && s.window % LANES == 0;  // a panel's queries are of one window
  for (Index token = first; token < past; token += together ? LANES : WIDE) {
    const float* from = qkv + token / LANES * 3 * s.width * LANES + token % LANES;
    float* to = out + (token - first) / LANES * s.width * LANES + token % LANES;
    for (Index at = 0; at < s.width; at += head) {
      const float *q = from + at * LANES, *k = q + s.width * LANES, *v = k + s.width * LANES;
      float* mixed = to + at * LANES;
      const Index begin = token / s.window * s.window;
      if (together) attend_across<V, V>(q, qkv, begin, at, mixed, logits, s);
      else switch (s.window) {
          case 1: attend_inside<1>(q, k, v, mixed, LANES, head); break;
          case 2: attend_inside<2>(q, k, v, mixed, LANES, head); break;
          case 4: attend_inside<4>(q, k, v, mixed, LANES, head); break;
          case 8: attend_inside<8>(q, k, v, mixed, LANES, head); break;
          case 16: attend_inside<16>(q, k, v, mixed, LANES, head); break;
          default: attend_across<V, 1>(q, qkv, begin, at, mixed, logits, s);
        }
    }
  }
}

// ---- the block ---------------------------------------------------------------------------------------------------

// Scratch of one thread, in floats: normed and mixed tokens, hidden features, attention weights of a panel.
Index scratch_floats(const Sizes& s, Index lanes) { return s.chunk * (2 * s.width + s.hidden) + s.window * lanes; }

template <int V>
void block(const Rows& r, const Weights& w, float* qkv, float* scratch) {
  constexpr Index LANES = V * WIDE;
  const Sizes& s = r.size;
  const Index panels = s.chunk / LANES, scratch_size = scratch_floats(s, LANES);
#pragma omp parallel num_threads(s.threads)
  {
    float* normed = scratch + omp_get_thread_num() * scratch_size;
    float* mixed = normed + s.chunk * s.width;
    float* hidden = mixed + s.chunk * s.width;
    float* logits = hidden + s.chunk * s.hidden;
    const auto panel = [&](float* panels_of, Index i) { return panels_of + i / LANES * s.width * LANES + i % LANES; };
    for (Index wave = 0; wave < s.rows; wave += s.wave) {
      const Index end = std::min(wave + s.wave, s.rows);
#pragma omp for schedule(dynamic)
      for (Index first = wave; first < end; first += s.chunk) {
        for (Index i = 0; i < s.chunk; i += WIDE) modulated(r, r.tokens, first + i, 0, panel(normed, i), LANES);
        linear<V, AS_SUM>(w.qkv, w.qkv_bias, s.width, 3 * s.width, normed, qkv + (first - wave) * 3 * s.width, panels);
      }
#pragma omp for schedule(dynamic)
      for (Index first = wave; first < end; first += s.chunk) {
        const Index count = std::min(s.chunk, (s.rows - first + WIDE - 1) / WIDE * WIDE);
        attend<V>(qkv, first - wave, first - wave + count, mixed, logits, s);
        linear<V, AS_SUM>(w.proj, w.proj_bias, s.width, s.width, mixed, normed, panels);
        for (Index i = 0; i < count; i += WIDE) {
          added(r, r.tokens, first + i, 2, panel(normed, i), LANES);
          modulated(r, r.out, first + i, 3, panel(mixed, i), LANES);
        }
        linear<V, ACTIVATED>(w.fc1, w.fc1_bias, s.width, s.hidden, mixed, hidden, panels);
        linear<V, AS_SUM>(w.fc2, w.fc2_bias, s.hidden, s.width, hidden, normed, panels);
        for (Index i = 0; i < count; i += WIDE) added(r, r.out, first + i, 5, panel(normed, i), LANES);
      }
    }
  }
}

Index lanes_of(const Sizes& s) {
  return s.chunk % (4 * WIDE) == 0 ? 4 * WIDE : s.chunk % (2 * WIDE) == 0 ? 2 * WIDE : WIDE;
}

}  // namespace

// Floats of workspace that `legoc_block` takes; `sizes` are those of `Sizes`, in order.
extern "C" Index legoc_block_workspace(const Index* sizes) {
  const Sizes s = *reinterpret_cast<const Sizes*>(sizes);
  return s.wave * 3 * s.width + s.threads * scratch_floats(s, lanes_of(s));
}

// `pointers`: tokens, modulation, out, workspace, then the weights in the order of `Weights`.
extern "C" void legoc_block(const Index* sizes, float* const* pointers) {
  const Sizes s = *reinterpret_cast<const Sizes*>(sizes);
  const Rows r{pointers[0], pointers[1], pointers[2], s};
  const Weights w{pointers[4], pointers[5], pointers[6],  pointers[7],
                  pointers[8], pointers[9], pointers[10], pointers[11]};
  float *qkv = pointers[3], *scratch = qkv + s.wave * 3 * s.width;
  switch (lanes_of(s)) {
    case 4 * WIDE: return block<4>(r, w, qkv, scratch);
    case 2 * WIDE: return block<2>(r, w, qkv, scratch);
    default: return block<1>(r, w, qkv, scratch);
  }
}
