# Print each word of the input, in lower case and in the order of appearance, and how often it occurs.
{
    line = tolower($0)
    gsub(/[^a-z ]+/, " ", line)
    n = split(line, words, " ")
    for (i = 1; i <= n; i++) if (!count[words[i]]++) order[++distinct] = words[i]
}
END { for (i = 1; i <= distinct; i++) printf "%s\t%d\n", order[i], count[order[i]] }
