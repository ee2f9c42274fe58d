/**
 * The words that run a script, from its first line; `sh` if it names none.
 * Source: execve(2): all after the interpreter is one argument; `env -S` splits it.
 */
export function interpreterOf(content: Uint8Array): readonly string[] {
  const match = /^#![ \t]*(\S+)(?:[ \t]+(.*?))?[ \t]*\r?(?:\n|$)/.exec(
    Buffer.from(content.subarray(0, 512)).toString('latin1'),
  )
  if (!match?.[1]) return ['/bin/sh']
  return match[2] ? [match[1], match[2]] : [match[1]]
}
