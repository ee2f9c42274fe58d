/**
 * What the text of a script tells of how it will behave: warnings for its author. Each rule is one
 * that Sahara's published recipes broke, with nobody noticing.
 */
import { posix } from 'node:path'
import { interpreterOf } from './_interpreter.ts'

const SHELLS = ['sh', 'dash', 'bash', 'ksh', 'busybox']

interface Rule {
  /** Which shells; left out: any. */
  shells?: readonly string[]
  broken(text: string): boolean
  message: string
}

const RULES: readonly Rule[] = [
  {
    broken: (text) => looksAtTestOnly(text) && /\belse\s+exit\s+0\b/.test(text),
    message:
      'with test_only=1 it ends with 0 without having looked (`else exit 0`), so its check never fails',
  },
  {
    broken: (text) =>
      [...text.matchAll(/\bcurl\b[^|;&\n]*/g)].some(
        ([call]) =>
          /\s(-[a-zA-Z]*[oO]|--output|--remote-name)\b/.test(call) &&
          !/\s(-[a-zA-Z]*f|--fail)/.test(call),
      ),
    message:
      'it calls curl without --fail, which saves the server’s error page as if it were the file; the `download` validator checks what it gets',
  },
  {
    broken: (text) => /\bapt-key\b/.test(text),
    message:
      'it calls apt-key, which Debian 13 and Ubuntu 25 no longer have; the `repository` validator keeps the key where apt looks for it now',
  },
  {
    shells: ['sh', 'dash'],
    broken: (text) => /(^|[;&|]\s*|\b(if|while|until)\s+)(\[\[\s|source\s)/m.test(text),
    message:
      'it uses `[[` or `source`, which only bash has, but sh runs it; let its first line be #!/bin/bash',
  },
]

/** Whether a script knows the difference between looking and changing, or may know it from another file. */
export function looksAtTestOnly(text: string): boolean {
  return /\btest_only\b|^\s*(?:\.|source)\s+\S/m.test(text)
}

/** One message for each rule that the script breaks. */
export function lintScript(content: Uint8Array): string[] {
  const text = Buffer.from(content)
    .toString()
    .replaceAll(/^[ \t]*#.*$/gm, '')
    .replaceAll(/\\\r?\n/g, ' ')
  const words = interpreterOf(content)
  const shell = words.map((word) => posix.basename(word)).find((word) => SHELLS.includes(word))
  return RULES.filter(
    (rule) => shell !== undefined && (rule.shells?.includes(shell) ?? true) && rule.broken(text),
  ).map(({ message }) => message)
}
