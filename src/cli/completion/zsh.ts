import { type Place, valuedFlags, type Word } from './places.ts'

/** The script for zsh. */
export function toZsh(places: readonly Place[]): string {
  const cases = places.map((place) => {
    const { path, below, flags, values } = place
    return `    ${quote(path)})
      below=(${below.map(describe).join(' ')})
      flags=(${flags.map(describe).join(' ')})
      valued=(${valuedFlags(place).map(quote).join(' ')}) choices=(${values.map(quote).join(' ')}) ;;`
  })
  const choices = places.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.choices.length > 0)
      .map(
        (flag) =>
          `    ${quote(`${path} ${flag.word}`)}) choices=(${flag.choices.map(quote).join(' ')}) ;;`,
      ),
  )
  return `#compdef ingot
# Completion of ingot for zsh.
_ingot_at() {
  case $1 in
${cases.join('\n')}
  esac
}
_ingot_choices() {
  choices=()
  case $1 in
${choices.join('\n')}
  esac
}
_ingot() {
  local place='' flag='' word
  local -a below flags valued choices
  _ingot_at ''
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $flag ]]; then flag=''
    elif (( \${below[(I)\${(b)word}:*]} )); then place+=/$word; _ingot_at "$place"
    elif (( \${valued[(Ie)$word]} )); then flag=$word
    fi
  done
  if [[ -z $flag && $words[CURRENT] == --*=* ]]; then
    flag=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  [[ -n $flag ]] && _ingot_choices "$place $flag"
  if (( $#choices )); then compadd -a choices
  elif [[ -n $flag ]]; then _files
  elif [[ $words[CURRENT] == -* ]]; then _describe flag flags
  elif (( $#below )); then _describe command below
  else _files
  fi
}
# Sourced, it brings itself in; found in a directory of fpath, it is the function.
if [[ $funcstack[1] == _ingot ]]; then _ingot "$@"; else compdef _ingot ingot; fi
`
}

/** `word:summary`, as zsh's _describe wants it. */
function describe({ word, summary }: Word): string {
  return quote(`${word.replaceAll(':', '\\:')}:${summary.replaceAll(':', '\\:')}`)
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
