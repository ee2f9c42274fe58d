/** `sysctl`. */
import { setLine } from '../../guests/lines.ts'
import { parseSysctl, readSysctl, toPlainValue, toSysctlPath } from '../../guests/sysctl.ts'
import type { Remote } from '../../remotes/remote.ts'
import { defineValidator, type Difference } from '../validator.ts'
import { demandText, expectText, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

/** Late in the order, so that few files can overrule it. */
const FILE = '/etc/sysctl.d/99-ingot.conf'

export const sysctl = defineValidator<Record<string, string>>({
  name: 'sysctl',
  summary: 'settings of the kernel',
  description: `Written to \`${FILE}\`, from where every boot takes them; on a running host they are in force at once. A setting that another file
makes already is left there; one that a later file overrules is reported.`,
  example: `
- sysctl:
    vm.swappiness: 10
    net.ipv4.ip_forward: 1`,
  schema: Type.Record(Type.String(), Type.String({ description: 'its value' }), {
    minProperties: 1,
    title: 'a mapping of settings, such as vm.swappiness: 10',
  }),
  templated: true,
  load: (settings, loading) => {
    for (const [key, value] of Object.entries(settings)) {
      const why = isKey(key)
      if (why !== undefined) loading.fault([key], why)
      expectText(loading, [key], value, isOneLine)
    }
    return settings
  },
  title: (settings) => `sysctl ${Object.keys(settings).join(', ')}`,
  check: async (settings, { remote }) => {
    const differences: Difference[] = []
    const boot = await readSysctl(remote)
    for (const [key, given] of Object.entries(settings)) {
      const expected = toPlainValue(demandText(given, isOneLine))
      const found = boot.get(toSysctlPath(key))
      if (found?.value !== expected)
        differences.push({
          what: `${key} at boot`,
          expected,
          found: found ? `${found.value} (${found.file})` : 'not set',
        })
      const live = await readLive(remote, key)
      if (live !== undefined && live !== expected)
        differences.push({ what: `${key} now`, expected, found: live })
    }
    return differences
  },
  apply: async (settings, { remote }) => {
    const boot = await readSysctl(remote)
    const before = (await remote.readText(FILE)) ?? ''
    let text = before
    for (const [key, value] of Object.entries(settings)) {
      const path = toSysctlPath(key)
      if (boot.get(path)?.value !== toPlainValue(value))
        text = setLine(text, `${key} = ${toPlainValue(value)}`, (line) =>
          parseSysctl(line).has(path),
        )
      const live = await readLive(remote, key)
      if (live !== undefined && live !== toPlainValue(value))
        await remote.runOk({ argv: ['sysctl', '-q', '-w', `${key}=${toPlainValue(value)}`] })
    }
    if (text !== before) await remote.writeFile(FILE, text)
  },
})

/** The value in force; undefined in an image, and where the kernel has no such setting. */
async function readLive(remote: Remote, key: string): Promise<string | undefined> {
  if (remote.place === 'image') return undefined
  const text = await remote.readText(`/proc/sys/${toSysctlPath(key)}`, 65_536)
  return text === undefined ? undefined : toPlainValue(text)
}

function isKey(key: string): string | undefined {
  return /^[A-Za-z0-9_][A-Za-z0-9_.:@/-]*$/.test(key) && !key.split(/[./]/).includes('')
    ? undefined
    : `'${key}' cannot be a setting of the kernel; wanted one such as vm.swappiness`
}
