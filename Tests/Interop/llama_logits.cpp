// Usage: llama-logits MODEL IDS OUT [ADAPTER | --states]
// IDS is a file of whitespace-separated token ids; OUT receives the logits of every position, F32, [tokens, vocabulary], or, with
// --states, the hidden states of an encoder, [tokens, channels].
// The KV cache is F32 and flash attention is off, so that only weights and the order of sums differ from other engines.
#include "llama.h"
#include <cstdio>
#include <cstring>
#include <vector>

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) return 64;
    const bool states = argc == 5 && strcmp(argv[4], "--states") == 0;
    std::vector<llama_token> ids;
    FILE *in = fopen(argv[2], "r");
    for (int id; in && fscanf(in, "%d", &id) == 1;) ids.push_back(id);
    if (!in || ids.empty()) return 66;
    fclose(in);

    llama_log_set([](ggml_log_level level, const char *text, void *) { if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 65;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t) ids.size();
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.n_threads = params.n_threads_batch = 1;
    params.embeddings = states;
    if (states) params.pooling_type = LLAMA_POOLING_TYPE_NONE;
    llama_context *context = llama_init_from_model(model, params);
    if (!context) return 70;
    if (argc == 5 && !states) {
        llama_adapter_lora *adapter = llama_adapter_lora_init(model, argv[4]);
        float scale = 1;
        if (!adapter || llama_set_adapters_lora(context, &adapter, 1, &scale) != 0) return 65;
    }

    llama_batch batch = llama_batch_init((int32_t) ids.size(), 0, 1);
    batch.n_tokens = (int32_t) ids.size();
    for (size_t i = 0; i < ids.size(); i++) {
        batch.token[i] = ids[i];
        batch.pos[i] = (llama_pos) i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = true;
    }
    if (llama_decode(context, batch) != 0) return 70;
    FILE *out = fopen(argv[3], "wb");
    if (!out) return 73;
    const size_t width = (size_t) (states ? llama_model_n_embd(model) : llama_vocab_n_tokens(llama_model_get_vocab(model)));
    for (size_t i = 0; i < ids.size(); i++) {
        const float *row = states ? llama_get_embeddings_ith(context, (int32_t) i) : llama_get_logits_ith(context, (int32_t) i);
        if (!row || fwrite(row, sizeof(float), width, out) != width) return 74;
    }
    return fclose(out) == 0 ? 0 : 74;
}
