#!/usr/bin/env bash
# semantic-text-splitter 0.33.1: TextSplitter.from_callback, with a function that counts as tokenizers of embedding models do:
# special tokens around each text.
# Guess: no chunk is over the capacity, for the splitter asks the function for the size of what it cuts.
# Seen: chunks over the capacity, without a word. A model that reads 28 tokens loses the end of such a passage.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet semantic-text-splitter==0.33.1
cd "$folder"
cat > check.py <<'P'
from semantic_text_splitter import TextSplitter

def with_special_tokens(special, text):
    return special + sum(3 if ord(character) > 0x2E80 else 1 for character in text if not character.isspace())

over = []
for special in (2, 15):
    for capacity in range(special + 3, special + 20):
        count = lambda text, special=special: with_special_tokens(special, text)
        for text in ("字字字字字字字字。字字字字", "a字 b字 c字 d字。 e字 f字", "one two three. 四五六 seven"):
            for chunk in TextSplitter.from_callback(count, capacity).chunks(text):
                if count(chunk) > capacity and len(chunk) > 1:
                    over.append((special, capacity, count(chunk), chunk))
for special, capacity, found, chunk in over[:5]:
    print(f"{special} special tokens, capacity {capacity}: a chunk of {found} ({chunk!r})")
assert over, "no chunk is over the capacity now: this finding is over"
P
"$folder/venv/bin/python" check.py
