/** Guests and scripts as Sahara's own unit tests have them, and what was run of them. */
import { runText, type TextRun } from './recipe-text.ts'
import type { Answer, Call, RemoteScript } from './scripted-remote.ts'

export const QUIET = '#!/bin/sh\n[ "$test_only" = 0 ]\n'
export const osRelease = (id: string) => ({ '/etc/os-release': `ID=${id}\nVERSION_ID="1"\n` })

/** Scripts whose names say how they end: `ok…` with 0, `no…` with 1, `later…` with 0 once applied. */
const ENDS: readonly Answer[] = [
  { to: /\/no[^/]*$/, give: { code: 1, stderr: 'it is not so' } },
  { to: /\/later[^/]*$/, give: ({ env }) => ({ code: env?.['test_only'] === '0' ? 0 : 1 }) },
]
const SCRIPTS = Object.fromEntries(
  ['ok', 'ok2', 'no', 'no2', 'later', 'out'].map((name) => [name, QUIET]),
)
export const run = (text: string, options: Parameters<typeof runText>[1] = {}) =>
  runText(text, { resources: SCRIPTS, answers: ENDS, ...options })
/** Names of the scripts that ran, with the mode that each was told: `ok 1`. */
export const ran = ({ calls }: TextRun) =>
  calls.flatMap((call) =>
    call.kind === 'run'
      ? [`${call.command.argv.at(-1)?.split('/').at(-1)} ${call.command.env?.['test_only']}`]
      : [],
  )

/** The scripts that were run: their text, what ran them from where, and with which variables. */
export const scriptsIn = (calls: readonly Call[]) =>
  calls.flatMap((call) => {
    if (call.kind !== 'run') return []
    const { argv, input, env = {} } = call.command
    return [{ text: String(input), path: argv.at(-1), interpreter: argv.slice(6, -1), env }]
  })

/** As `rpm -qa` prints a package with Ingot's query. */
const rpmLine = (name: string) =>
  `${[name, '0', '1', '1', 'x86_64', '', '', '', ''].join('\x1f')}\x1f${name}\x1e\n`
/** As dpkg's status file has it. */
const stanza = (name: string) =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n`

/** A guest of the redhat family where `installed` are installed; `yum` does what it is told. */
export function redhat(id: string, installed: string[], yum: RemoteScript['otherwise'] = {}) {
  return {
    files: { ...osRelease(id), '/usr/bin/yum': '' },
    answers: [
      { to: 'rpm', give: { stdout: installed.map(rpmLine).join('') } },
      { to: 'yum', give: yum },
    ],
  }
}
/** A guest of the debian family where `installed` are installed; `apt-get` does what it is told. */
export function debian(id: string, installed: string[], apt: RemoteScript['otherwise'] = {}) {
  return {
    files: { ...osRelease(id), '/var/lib/dpkg/status': installed.map(stanza).join('') },
    answers: [{ to: /^apt-get .*install /, give: apt }, { to: /./ }],
  }
}
export const PACKAGE = 'validators: [{package: java}]'
