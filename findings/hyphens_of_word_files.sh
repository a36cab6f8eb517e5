#!/usr/bin/env bash
# docx2python 3.7.1 and docx2txt 0.9, readers of Word files that loaders of documents build on: a no-break hyphen (Ctrl+Shift+_ in Word).
# Guess: "5-7 days" comes out with a hyphen of some kind, as Word shows it.
# Seen: the hyphen is dropped and the digits join: both read "57 days". A question about delivery finds a wrong number.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet docx2python==3.7.1 docx2txt==0.9 python-docx==1.2.0
cd "$folder"
cat > check.py <<'P'
import docx
import docx2txt
from docx.oxml import OxmlElement
from docx2python import docx2python

document = docx.Document()
run = document.add_paragraph("Delivery takes 5").add_run()
run._r.append(OxmlElement("w:noBreakHyphen"))
document.paragraphs[0].add_run("7 days.")
document.save("a.docx")
with docx2python("a.docx") as opened:
    read = {"docx2python": opened.text.strip(), "docx2txt": docx2txt.process("a.docx").strip()}
print("python-docx:", repr(docx.Document("a.docx").paragraphs[0].text))
for name, text in read.items():
    print(f"{name}: {text!r}")
    assert "57 days" in text, f"{name} keeps the hyphen now: this finding is over"
P
"$folder/venv/bin/python" check.py
