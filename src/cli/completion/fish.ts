import { type Flag, type Place, valuedFlags } from './places.ts'

/** The script for fish. */
export function toFish(places: readonly Place[]): string {
  const below = places.flatMap(({ path, below: words }) =>
    words.map(({ word }) => `${path} ${word}`),
  )
  const valued = places.flatMap((place) =>
    valuedFlags(place).map((word) => `${place.path} ${word}`),
  )
  return `# Completion of ingot for fish.
set -g __ingot_below ${below.map(quote).join(' ')}
set -g __ingot_valued ${valued.map(quote).join(' ')}
function __ingot_at -a wanted
    set -l place ''
    set -l flag ''
    for word in (commandline -opc)[2..-1]
        if test -n "$flag"
            set flag ''
        else if contains -- "$place $word" $__ingot_below
            set place $place/$word
        else if contains -- "$place $word" $__ingot_valued
            set flag $word
        end
    end
    test "$place" = "$wanted"
end
${places.flatMap(linesOf).join('\n')}
`
}

function linesOf({ path, below, flags, values }: Place): string[] {
  const at = `complete -c ingot -n ${quote(`__ingot_at ${path === '' ? "''" : path}`)}`
  return [
    ...below.map(({ word, summary }) => `${at} -f -a ${word} -d ${quote(summary)}`),
    ...(values.length === 0 ? [] : [`${at} -f -a ${quote(values.join(' '))}`]),
    ...flags.map((flag) => `${at} ${nameOf(flag)}${valueOf(flag)} -d ${quote(flag.summary)}`),
  ]
}

function nameOf({ word, short }: Flag): string {
  return `-l ${word.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`}`
}

function valueOf({ takesValue, choices }: Flag): string {
  if (choices.length > 0) return `${takesValue ? ' -x' : ''} -a ${quote(choices.join(' '))}`
  return takesValue ? ' -r' : ''
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
