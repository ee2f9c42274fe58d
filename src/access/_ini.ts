/** INI files as OpenStack's configuration files are. Source: Python's configparser, in its default dialect. */

export interface IniFault {
  /** Counts from 1. */
  readonly line: number
  readonly message: string
}

export interface IniOption {
  readonly line: number
  readonly value: string
}

export interface IniSection {
  readonly name: string
  readonly line: number
  /** Keys are in lower case. Those of [DEFAULT] are in every section that does not have its own. */
  readonly options: ReadonlyMap<string, IniOption>
}

/** The sections in order, without [DEFAULT]; and what could not be read. */
export function parseIni(text: string): { sections: IniSection[]; faults: IniFault[] } {
  const sections: (IniSection & { options: Map<string, IniOption> })[] = []
  const faults: IniFault[] = []
  let last: string | undefined
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const content = written.trim()
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue
    const options = sections.at(-1)?.options
    const before = last === undefined ? undefined : options?.get(last)
    if (
      /^\s/.test(written) &&
      options !== undefined &&
      last !== undefined &&
      before !== undefined
    ) {
      options.set(last, { line: before.line, value: `${before.value}\n${content}`.trim() })
      continue
    }
    const [, name] = /^\[(.+)\]/.exec(content) ?? []
    const [, key, value] = /^(.*?)\s*[=:]\s*(.*)$/.exec(content) ?? []
    last = key?.toLowerCase()
    if (name !== undefined) {
      last = undefined
      if (sections.some((one) => one.name === name))
        faults.push({ line, message: `there are two sections [${name}]` })
      sections.push({ name, line, options: new Map() })
    } else if (last === undefined || last === '' || value === undefined)
      faults.push({ line, message: 'wanted [section], or key = value' })
    else if (options === undefined)
      faults.push({ line, message: `'${last}' stands before the first section` })
    else if (options.has(last)) faults.push({ line, message: `'${last}' stands here twice` })
    else options.set(last, { line, value })
  }
  const defaults = sections.find(({ name }) => name === 'DEFAULT')?.options ?? new Map()
  const named = sections.filter(({ name }) => name !== 'DEFAULT')
  return {
    sections: named.map((one) => ({ ...one, options: new Map([...defaults, ...one.options]) })),
    faults,
  }
}
