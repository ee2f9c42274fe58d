import type { OsName } from '../../template.ts'

/** What a stock answer file says. */
export interface AnswerInput {
  readonly os: OsName
  /** The install tree; undefined: all comes from the medium. */
  readonly tree: URL | undefined
  /** As in /etc/shadow. */
  readonly passwordHash: string
  /** In plain words, for Windows, which takes no hash. */
  readonly password: string
  /** `/dev/vda`. */
  readonly device: string
  readonly firmware: 'bios' | 'uefi'
  readonly productKey: string | null
  /** For who will customise the booted system; undefined: nobody. */
  readonly authorizedKey: string | undefined
}

/** A text as a word of XML. */
export function xmlText(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}

/** Commands that let a key in as root, in a system that is mounted at `root` (`''`: it runs). */
export function keyCommands(root: string, key: string | undefined): string[] {
  if (key === undefined) return []
  const directory = `${root}/root/.ssh`
  return [
    `mkdir -p -m 700 ${directory}`,
    `echo '${key.replaceAll("'", '')}' >>${directory}/authorized_keys`,
    `chmod 600 ${directory}/authorized_keys`,
  ]
}
