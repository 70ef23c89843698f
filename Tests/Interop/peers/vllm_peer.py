"""vLLM's CPU build."""
from answering import answer  # first: it redirects what the others print

import gc

import vllm
from vllm.distributed import cleanup_dist_env_and_memory


def log_probabilities(folder, prompts):
    """For each list of token ids, the log-probability of every token but the first."""
    engine = vllm.LLM(
        model=folder, skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True, max_model_len=512, enable_prefix_caching=False)
    try:
        asked = vllm.SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False)
        answers = engine.generate([{"prompt_token_ids": ids} for ids in prompts], asked, use_tqdm=False)
        return [
            [found[token].logprob for found, token in zip(answer.prompt_logprobs[1:], ids[1:])] for answer, ids in zip(answers, prompts)]
    finally:
        del engine
        gc.collect()
        cleanup_dist_env_and_memory()


answer(log_probabilities=log_probabilities)
