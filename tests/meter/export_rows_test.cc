// Rows of every format but FOCUS, byte for byte: consumers rely on them.
#include <gtest/gtest.h>

#include "client/quirectl/meter/csv_rows.h"
#include "client/quirectl/meter/event_rows.h"
#include "client/quirectl/meter/json_rows.h"
#include "tests/meter/meter_rig.h"

namespace quire::client::export_rows_test {

using namespace quire::tests;

namespace {

constexpr const char* kReceiptMembers =
    R"("id":"3.17","opened":"2026-11-30T10:00:00.000001Z","opened_us":1796032800000001,)"
    R"("closed":"2026-11-30T10:00:02.500000Z","closed_us":1796032802500000,)"
    R"("request_id":"18446744073709551615","session":"42","turn":3,)"
    R"("conversation":"9007199254740993","uid":1000,"tenant":"acme \"east\", llc",)"
    R"("payer":"payer\\1","namespace":"space","model":"deepseek-flash","service_tier":"batch",)"
    R"("retention":"5m","explicit":true,"prompt_tokens":1000,"hit_tokens":742,)"
    R"("replayed_tokens":128,"missed_tokens":130,"output_tokens":77,"written_tokens":136,)"
    R"("resumed_tokens":870,"how":"span","have_tokens":11,"announced_ram_tokens":512,)"
    R"("announced_ssd_tokens":256,"announced_cluster_tokens":128,"delivered_ram_tokens":500,)"
    R"("delivered_ssd_tokens":250,"delivered_cluster_tokens":120,"undelivered_tokens":26,)"
    R"("withheld_alignment_tokens":14,"withheld_group_tokens":15,"limit":"group",)"
    R"("limit_tokens":896,"limit_group":4,"late":false,"moved_ram_bytes":101,)"
    R"("moved_ssd_bytes":102,"moved_cluster_bytes":103,"written_spans":17,)"
    R"("written_checkpoints":2,"written_span_bytes":50010,"written_checkpoint_bytes":6234,)"
    R"("end":"closed")";
constexpr const char* kStorageMembers =
    R"("id":"3.18","from":"2026-11-30T10:00:00.000000Z","from_us":1796032800000000,)"
    R"("to":"2026-11-30T10:01:00.000000Z","to_us":1796032860000000,"uid":1000,"tenant":"acme",)"
    R"("retention":"1h","tier":"ssd","byte_us":"18446744073709551616","token_us":"1500000",)"
    R"("most_bytes":4096,"most_tokens":8)";
constexpr const char* kLostMembers =
    R"("id":"3.19","from":"2026-11-30T10:00:00.000000Z","from_us":1796032800000000,)"
    R"("to":"2026-11-30T10:00:01.000000Z","to_us":1796032801000000,"receipts":7,)"
    R"("prompt_tokens":700,"hit_tokens":70)";

// Not said by the engine; the rest is 0.
ReceiptView bare_view() { return {{1, 1}, {}, {}}; }

}  // namespace

TEST(ExportRows, JsonLinesHoldEveryField) {
  std::string rows;
  JsonRows writer(rows);
  writer.header();
  writer.receipt(full_view());
  writer.storage(full_storage());
  writer.lost(full_lost());
  EXPECT_EQ(rows, std::string(R"({"type":"receipt",)") + kReceiptMembers + "}\n" +
                      R"({"type":"storage",)" + kStorageMembers + "}\n" + R"({"type":"lost",)" +
                      kLostMembers + "}\n");
}

TEST(ExportRows, CloudEventsCarryTheSameFields) {
  std::string rows;
  EventRows writer(rows, "quire/host");
  writer.header();
  writer.receipt(full_view());
  writer.storage(full_storage());
  writer.lost(full_lost());
  EXPECT_EQ(rows, std::string(R"({"specversion":"1.0","id":"3.17","source":"quire/host",)") +
                      R"("type":"dev.quire.receipt.v1","time":"2026-11-30T10:00:00.000001Z",)" +
                      R"("subject":"payer\\1","datacontenttype":"application/json","data":{)" +
                      kReceiptMembers + "}}\n" +
                      R"({"specversion":"1.0","id":"3.18","source":"quire/host",)" +
                      R"("type":"dev.quire.storage.v1","time":"2026-11-30T10:01:00.000000Z",)" +
                      R"("subject":"acme","datacontenttype":"application/json","data":{)" +
                      kStorageMembers + "}}\n" +
                      R"({"specversion":"1.0","id":"3.19","source":"quire/host",)" +
                      R"("type":"dev.quire.lost.v1","time":"2026-11-30T10:00:01.000000Z",)" +
                      R"("datacontenttype":"application/json","data":{)" + kLostMembers + "}}\n");
}

TEST(ExportRows, CsvHasAHeaderAndARowAReceipt) {
  std::string rows;
  CsvRows writer(rows);
  writer.header();
  writer.receipt(full_view());
  writer.storage(full_storage());
  writer.lost(full_lost());
  EXPECT_EQ(
      rows,
      "id,opened,opened_us,closed,closed_us,request_id,session,turn,conversation,uid,tenant,payer,"
      "namespace,model,service_tier,retention,explicit,prompt_tokens,hit_tokens,replayed_tokens,"
      "missed_tokens,output_tokens,written_tokens,resumed_tokens,how,have_tokens,"
      "announced_ram_tokens,announced_ssd_tokens,announced_cluster_tokens,delivered_ram_tokens,"
      "delivered_ssd_tokens,delivered_cluster_tokens,undelivered_tokens,"
      "withheld_alignment_tokens,withheld_group_tokens,limit,limit_tokens,limit_group,late,"
      "moved_ram_bytes,moved_ssd_bytes,moved_cluster_bytes,written_spans,written_checkpoints,"
      "written_span_bytes,written_checkpoint_bytes,end\n"
      "3.17,2026-11-30T10:00:00.000001Z,1796032800000001,2026-11-30T10:00:02.500000Z,"
      "1796032802500000,18446744073709551615,42,3,9007199254740993,1000,"
      "\"acme \"\"east\"\", llc\",payer\\1,space,deepseek-flash,batch,5m,true,1000,742,128,130,77,"
      "136,870,span,11,512,256,128,500,250,120,26,14,15,group,896,4,false,101,102,103,17,2,50010,"
      "6234,closed\n");
}

TEST(ExportRows, WhatTheEngineDidNotSayIsNull) {
  std::string rows;
  JsonRows(rows).receipt(bare_view());
  for (const char* part : {R"("request_id":null)", R"("conversation":null)",
                           R"("limit_group":null)", R"("model":"")", R"("how":"unsaid")"}) {
    EXPECT_NE(rows.find(part), std::string::npos) << part << " in " << rows;
  }
  rows.clear();
  CsvRows(rows).receipt(bare_view());
  EXPECT_NE(rows.find(",0,,0,0,,0,"), std::string::npos) << rows;
  rows.clear();
  EventRows(rows, "s").receipt(bare_view());
  EXPECT_EQ(rows.find("subject"), std::string::npos) << "it may not be empty";
}

TEST(ExportRows, StorageOnWhicheverTierIsOfAny) {
  StorageView storage = full_storage();
  storage.record.tier = model::kAnyTier;
  std::string rows;
  JsonRows(rows).storage(storage);
  EXPECT_NE(rows.find(R"("tier":"any")"), std::string::npos) << rows;
}

TEST(ExportRows, ControlsAreEscapedForJson) {
  ReceiptView receipt = full_view();
  receipt.texts[0] = "a\nb\x01";
  std::string rows;
  JsonRows(rows).receipt(receipt);
  EXPECT_NE(rows.find(R"("tenant":"a\u000ab\u0001")"), std::string::npos) << rows;
}

TEST(ExportRows, EveryFieldIsExplained) {
  std::ostringstream page;
  page << std::ifstream(QUIRE_SOURCE_DIR "/docs/metering.md").rdbuf();
  std::string rows;
  CsvRows(rows).header();
  std::istringstream names(rows.substr(0, rows.size() - 1));
  for (std::string name; std::getline(names, name, ',');) {
    EXPECT_NE(page.str().find("`" + name + "`"), std::string::npos) << name;
  }
}

}  // namespace quire::client::export_rows_test
