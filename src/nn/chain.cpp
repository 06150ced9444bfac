#include "nn/chain.h"

#include <algorithm>

namespace dn {
namespace {

size_t aligned(size_t bytes) { return round_up(bytes, size_t{64}); }

class Chain : public Kernel {
 public:
  Chain(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second, const ChainArgs& args)
      : first_(std::move(first)),
        second_(std::move(second)),
        h_(args.second.x[0]),
        gradient_(args.second.dx[0] != Write::none),
        a_(first_->needs()),
        b_(second_->needs()),
        read_late_(args.second.backward && (a_.y_in_backward || b_.x_in_backward)),
        again_(read_late_ && first_->forward_phases() == 1 && a_.saved.empty()) {
    ensure(h_ == h_.dense() && h_ == args.first.y, "what lies between two kernels is dense");
    ensure(first_->backward_phases() == 1 && second_->backward_phases() == 1, "kernels that are chained go backward in one phase");
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = a_.x_in_backward || again_;
    n.y_in_backward = b_.y_in_backward;
    n.saved = a_.saved;
    if (keeps()) n.saved.push_back(h_.bytes());
    n.saved.insert(n.saved.end(), b_.saved.begin(), b_.saved.end());
    ensure(a_.saved_once < 0 || b_.saved_once < 0, "one of two chained kernels takes statistics");
    n.saved_once = b_.saved_once >= 0 ? static_cast<int>(a_.saved.size()) + keeps() + b_.saved_once : a_.saved_once;
    n.output_phase = b_.output_phase > 0 ? first_->forward_phases() - 1 + b_.output_phase : 0;
    n.forward_scratch = forward_bytes() + std::max(a_.forward_scratch, b_.forward_scratch);
    n.backward_scratch = gradient_bytes() + again_bytes() + std::max({a_.backward_scratch, b_.backward_scratch, again_ ? a_.forward_scratch : 0});
    n.kept = a_.kept + b_.kept;
    return n;
  }

  int forward_phases() const override { return first_->forward_phases() + second_->forward_phases() - 1; }
  int reorders() const override { return first_->reorders() + second_->reorders(); }

  void forward(const Io& io, const Pass& pass) override {
    // Phases from Needs::output_phase on have no scratch and use none.
    const Links l = links(io, keeps() ? kept(io) : reinterpret_cast<float*>(io.scratch), nullptr, io.scratch ? io.scratch + forward_bytes() : nullptr);
    const int last = first_->forward_phases() - 1;
    Pass now = pass;
    if (pass.phase <= last) first_->forward(l.first, now);
    if (pass.phase < last) return;
    now.phase = pass.phase - last;
    second_->forward(l.second, now);
  }

  void backward(const Io& io, const Pass& pass) override {
    float* const gradient = gradient_ ? reinterpret_cast<float*>(io.scratch) : nullptr;
    float* const h = again_ ? reinterpret_cast<float*>(io.scratch + gradient_bytes()) : keeps() ? kept(io) : nullptr;
    const Links l = links(io, h, gradient, io.scratch + gradient_bytes() + again_bytes());
    if (again_) {
      Pass again = pass;
      again.again = true;
      again.phase = 0;
      first_->forward(l.first, again);
    }
    second_->backward(l.second, pass);
    if (gradient_) first_->backward(l.first, pass);
  }

 private:
  struct Links {
    Io first, second;
  };

  bool keeps() const { return read_late_ && !again_; }
  float* kept(const Io& io) const { return reinterpret_cast<float*>(io.saved[a_.saved.size()]); }
  size_t forward_bytes() const { return keeps() ? 0 : aligned(h_.bytes()); }
  size_t gradient_bytes() const { return gradient_ ? aligned(h_.bytes()) : 0; }
  size_t again_bytes() const { return again_ ? aligned(h_.bytes()) : 0; }

  // The tensors lie in the kernel, for Io refers to them.
  Links links(const Io& io, float* h, float* gradient, std::byte* scratch) {
    h_now_ = {h_, h}, dh_now_ = {h_, gradient};
    Links l{io, io};
    l.first.y = h_now_, l.first.dy = dh_now_;
    l.second.x = {&h_now_, 1}, l.second.dx = {&dh_now_, 1};
    l.first.saved = io.saved.first(a_.saved.size()), l.second.saved = io.saved.subspan(a_.saved.size() + keeps());
    l.first.scratch = l.second.scratch = scratch;
    return l;
  }

  std::unique_ptr<Kernel> first_, second_;
  TensorDesc h_;
  bool gradient_;
  Needs a_, b_;
  bool read_late_, again_;   // backward reads h; it is made again for that
  Tensor h_now_, dh_now_;
};

}  // namespace

ChainArgs chain_args(const KernelArgs& args, const TensorDesc& h, bool learns) {
  ChainArgs out{args, args};
  out.first.y = h;
  out.second.x = {h};
  out.second.dx = {args.backward && learns ? Write::overwrite : Write::none};
  return out;
}

std::unique_ptr<Kernel> chain(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second, const ChainArgs& args) {
  return std::make_unique<Chain>(std::move(first), std::move(second), args);
}

}  // namespace dn
