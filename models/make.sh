#!/bin/sh
# Makes the three encoder ensembles from the data sets in STREAMPROC_DATA; run it again to resume.
#
# OUT gets the models (default: build/models), WORK the runs (default: build/models-work).
set -eu

DATA=${STREAMPROC_DATA:?"set STREAMPROC_DATA to the folder of the data sets"}
BIN=${BIN:-.venv/bin}
OUT=${OUT:-build/models}
WORK=${WORK:-build/models-work}
START=$(date +%s)

# The same base, layers, words and texts for all, or they do not share the frozen layers.
SHARED="--base bge-small --freeze-layers 6 --vocabulary 9000 --window 256 --threads 1 --seed 7
    --out $OUT --work $WORK"
for corpus in sentiment_open/train ner_btc/train ner_wikigold/train ner_crossner/train \
    qa_squadshifts/train qa_squad11/valid; do
    SHARED="$SHARED --prefix-corpus $DATA/$corpus.jsonl.gz"
done

# Types of the corpora become four; what fits none of them is no entity.
LABELS=
rename() {
    name=$1
    shift
    for type in "$@"; do LABELS="$LABELS --label $type=$name"; done
}
rename PER PER person politician scientist writer researcher
rename LOC LOC location country
rename ORG ORG organisation politicalparty university
rename MISC MISC misc election event award book poem magazine academicjournal product programlang \
    conference
rename O chemicalcompound chemicalelement astronomicalobject protein enzyme theory discipline \
    literarygenre field task algorithm metrics

BASE_LICENSE="Apache-2.0 (weights); base model bge-small-en-v1.5 (MIT)"

# A training that was stopped goes on from its last checkpoint; what is made is left alone.
make() {
    if [ -f "$WORK/$1.made" ]; then
        echo "$1: made already"
        return
    fi
    "$2"
    touch "$WORK/$1.made"
    echo "$1: made, $(($(date +%s) - START)) s after this start"
}

# How few members will do, of so many validation records.
profiles() {
    ensemble=$1
    limit=$2
    shift 2
    "$BIN/streamproc" profiles "$ensemble" "$@" --limit "$limit" --write --models-dir "$OUT"
}

sentiment() {
    "$BIN/streamproc" train $SHARED --ensemble sentiment --partition-by hash:3 \
        --corpus "$DATA/sentiment_open/train.jsonl.gz" \
        --valid "$DATA/sentiment_open/valid.jsonl.gz" --label 0=negative --label 1=positive \
        --layers 6 --ffn-width 1024 --batch 32 \
        --seed-model-epochs 2 --seed-model-learning-rate 4e-4 --epochs 2 --learning-rate 4e-4 \
        --description "English reviews, negative or positive: three models behind shared layers, \
branched off one model and each trained on with a third of the corpus" \
        --license "$BASE_LICENSE; trained on sentiment_open (CC BY 4.0); provenance in report.md"
    "$BIN/streamproc" fit-ensemble sentiment --models-dir "$OUT" \
        --valid "$DATA/sentiment_open/valid.jsonl.gz" --label 0=negative --label 1=positive
    profiles sentiment 1000 "$DATA/sentiment_open/valid.jsonl.gz" \
        --label 0=negative --label 1=positive
}

entities() {
    valid="--valid twitter=$DATA/ner_btc/valid.jsonl.gz
        --valid wikipedia=$DATA/ner_wikigold/valid.jsonl.gz
        --valid wikipedia=$DATA/ner_crossner/valid.jsonl.gz"
    "$BIN/streamproc" train $SHARED --task token-classification --ensemble entities \
        --partition-by corpus --corpus "twitter=$DATA/ner_btc/train.jsonl.gz" \
        --corpus "wikipedia=$DATA/ner_wikigold/train.jsonl.gz" \
        --corpus "wikipedia=$DATA/ner_crossner/train.jsonl.gz" $valid $LABELS \
        --layers 6,7 --ffn-width 768 --batch 16 --precision int8 \
        --seed-model-epochs 3 --seed-model-learning-rate 6e-4 --epochs 2 --learning-rate 3e-4 \
        --description "English persons, places, organisations and other names: one model of \
tweets, one of Wikipedia, behind shared layers" \
        --license "$BASE_LICENSE; trained on Broad Twitter Corpus (CC BY 4.0), Wikigold \
(CC BY 4.0), CrossNER (MIT); provenance in report.md"
    "$BIN/streamproc" fit-ensemble entities --models-dir "$OUT" --limit 900 $valid $LABELS \
        --part "twitter=$DATA/ner_btc/train.jsonl.gz" \
        --part "wikipedia=$DATA/ner_wikigold/train.jsonl.gz" \
        --part "wikipedia=$DATA/ner_crossner/train.jsonl.gz"
    # Of validation data three in four texts are CrossNER's, for which `max` is the best by 3 points;
    # on tweets it is the worst by 13, as it merges names that follow each other.
    sed -i 's/^aggregation = .*/aggregation = "first"/' "$OUT/entities/manifest.toml"
    "$BIN/streamproc" fit-ensemble entities --keep-combination --models-dir "$OUT" $valid $LABELS
    profiles entities 1000 "twitter=$DATA/ner_btc/valid.jsonl.gz" \
        "crossner=$DATA/ner_crossner/valid.jsonl.gz" $LABELS
}

# Four processes train each member together.
question_answering() {
    "$BIN/torchrun" --nproc-per-node 4 -m streamproc train $SHARED --task question-answering \
        --ensemble question-answering --partition-by hash:2 \
        --corpus "$DATA/qa_squadshifts/train.jsonl.gz" \
        --corpus "$DATA/qa_squad11/valid.jsonl.gz" \
        --valid "$DATA/qa_squadshifts/valid.jsonl.gz" \
        --layers 6,7 --ffn-width 1024 --overlap 64 --batch 6 --unanswerable-share 0.25 \
        --precision int8 \
        --seed-model-epochs 1 --seed-model-learning-rate 5e-4 --epochs 1 --learning-rate 4e-4 \
        --description "English answers from a paragraph: two models behind shared layers, branched \
off one model and each trained on with half of the corpus" \
        --license "$BASE_LICENSE; trained on SQuADShifts (license not stated in its repository; \
texts of Wikipedia, CC BY-SA, and Reddit) and SQuAD 1.1 (CC BY-SA 4.0); provenance in report.md"
    "$BIN/streamproc" fit-ensemble question-answering --models-dir "$OUT" --limit 200 \
        --valid "$DATA/qa_squadshifts/valid.jsonl.gz"
    "$BIN/streamproc" fit-ensemble question-answering --keep-combination --models-dir "$OUT" \
        --valid "$DATA/qa_squadshifts/valid.jsonl.gz"
    profiles question-answering 400 "$DATA/qa_squadshifts/valid.jsonl.gz"
}

make sentiment sentiment
make entities entities
make question-answering question_answering
