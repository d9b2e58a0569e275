// How far behind a prompt's end its conversation's next prompt leaves it, learnt from those that
// did: where the checkpoint before the tail belongs (model::wanted_checkpoints).
//
//   a prompt --> its conversation's last one: do both agree up to its turn end? nothing is learnt.
//            \-> else the least of kDistances before its end at which they agree: counted for the
//                namespace, whose template is the reason
//
// What is asked for from then on is the distance that would have cost the prompts counted the least
// tokens: one that left at most so far behind computes the rest of the distance again, one that
// left earlier kMissedTokens. Old counts fade. Before any was counted it is kTailTokens.
// Two prompts are compared by parts of their chain hashes, kept of the last one, so neither
// eviction nor the policy in force is mistaken for a rewritten tail. The same prompts teach the
// same.
// Threads: core only. Memory: kConversations and kNamespaces, fixed; where there are more, some are
// forgotten, and learnt anew.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/tree/chain_view.h"
#include "model/boundary.h"
#include "model/layout.h"

namespace quire::cache {

class TailDistances {
 public:
  // As the next power of two: a longer distance costs each turn as many tokens again.
  static constexpr std::array<uint32_t, 7> kDistances{64, 128, 256, 512, 1024, 2048, 4096};
  static constexpr size_t kConversations = 1 << 12;
  static constexpr size_t kNamespaces = 1 << 10;
  // What a prompt computes again that finds no checkpoint before where it left: as a rule some
  // turns of its conversation.
  static constexpr uint32_t kMissedTokens = 4096;

  TailDistances() : conversations_(kConversations), namespaces_(kNamespaces) {}

  // Of a template: those of one user's namespace are taken to be alike.
  static uint64_t namespace_key(std::string_view domain, std::string_view tenant,
                                std::string_view namespace_name);
  struct Prompt {
    uint64_t namespace_key = 0;
    uint64_t conversation = 0;  // unlike any other's, of whichever root
    const model::Layout* layout = nullptr;
    ChainView chain;  // of its whole units
    uint32_t tokens = 0;
  };
  // The conversation's next turn begins with this prompt. Once a turn, and not a rank.
  void asked(const Prompt& prompt);
  // One of kDistances.
  uint32_t learnt(uint64_t namespace_key) const;

 private:
  struct Conversation {
    uint64_t key = 0;                                 // 0: free
    uint32_t turn_end_units = 0;                      // 0: it had none
    uint32_t turn_end = 0;                            // a part of the chain hash there
    std::array<uint32_t, kDistances.size()> units{};  // the tail point by distance; 0: none
    std::array<uint32_t, kDistances.size()> parts{};
  };
  struct Namespace {
    uint64_t key = 0;
    std::array<uint16_t, kDistances.size()> left{};  // prompts, by how far behind the end
  };
  static constexpr size_t kWindow = 4;  // a key lies within so many places

  static void remember(const Prompt& prompt, Conversation& place);
  static bool agrees(const Prompt& prompt, uint32_t units, uint32_t part);
  void count(uint64_t namespace_key, size_t distance);

  std::vector<Conversation> conversations_;
  std::vector<Namespace> namespaces_;
  size_t next_victim_ = 0;
};

}  // namespace quire::cache
