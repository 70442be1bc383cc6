echo "{\"start\": \"$2\", \"wet\": ${#4}}" > "$SATURN_RUN_LOCAL_RESULTS_DIR/month.json"
echo "$2 to $4"
case $2 in 2012-0[59]-01)
    echo "KeyError: 'wind'" >&2
    exit 1
esac
