import { type Place, valuedFlags } from './places.ts'

/** The script for bash. It completes words only: bash shows no summaries. */
export function toBash(places: readonly Place[]): string {
  const cases = places.map((place) => {
    const { path, below, flags, values } = place
    return `    ${quote(path)}) below=${wordsOf(below)} flags=${wordsOf(flags)} valued=${quote(valuedFlags(place).join(' '))} values=${quote(values.join(' '))} ;;`
  })
  const choices = places.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.choices.length > 0)
      .map(
        (flag) => `    ${quote(`${path} ${flag.word}`)}) words=${quote(flag.choices.join(' '))} ;;`,
      ),
  )
  return `# Completion of ingot for bash.
_ingot_at() {
  case $1 in
${cases.join('\n')}
  esac
}
_ingot_choices() {
  case $1 in
${choices.join('\n')}
  esac
}
_ingot() {
  local current=\${COMP_WORDS[COMP_CWORD]} place='' flag='' word last='' words='' below flags valued values
  _ingot_at ''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == = ]]; then flag=$last # --flag=value comes as three words
    elif [[ $flag ]]; then flag=''
    elif [[ " $below " == *" $word "* ]]; then place+=/$word; _ingot_at "$place"
    elif [[ " $valued " == *" $word "* ]]; then flag=$word
    fi
    last=$word
  done
  [[ $current == = ]] && current='' flag=$last
  if [[ $flag ]]; then _ingot_choices "$place $flag"
  elif [[ $current == -* ]]; then words=$flags
  else words="$below $values"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _ingot ingot
`
}

function wordsOf(words: readonly { readonly word: string }[]): string {
  return quote(words.map(({ word }) => word).join(' '))
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
