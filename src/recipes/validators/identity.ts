/** `hostname`, `timezone` and `locale`: what a guest calls itself, its hours and its words. */
import { Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { readAssignment, setAssignment, setLine, toLines } from '../../guests/lines.ts'
import type { Remote } from '../../remotes/remote.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText } from './_texts.ts'
import { Type } from '../../schema/type.ts'

const HOSTNAME = '/etc/hostname'
const HOSTS = '/etc/hosts'

export const hostname = defineValidator<string>({
  name: 'hostname',
  summary: 'the name of the machine',
  description: `Written to \`/etc/hostname\`; on Debian and its kin also to the line \`127.0.1.1\` of \`/etc/hosts\`, as its installer does. On a running
host the name is in force at once. Cloud-init may give every machine made of an image another name when it boots.`,
  example: '- hostname: web.example.org',
  schema: Type.String({ minLength: 1, title: 'the name of a host' }),
  templated: true,
  load: (name, loading) => {
    expectText(loading, [], name, isHostname)
    return name
  },
  title: (name) => `hostname ${name}`,
  check: async (name, scene) => {
    demandText(name, isHostname)
    const differences: Difference[] = []
    const found = (await scene.remote.readText(HOSTNAME))?.trim() ?? ''
    if (found !== name)
      differences.push({ what: HOSTNAME, expected: name, found: found || 'nothing' })
    const live = await readLiveName(scene.remote)
    if (live !== undefined && live !== name)
      differences.push({ what: 'name of the running host', expected: name, found: live })
    if (!(await isInHosts(name, scene)))
      differences.push({ what: HOSTS, expected: `127.0.1.1 ${name}`, found: 'no such line' })
    return differences
  },
  apply: async (name, scene) => {
    const { remote } = scene
    await remote.writeFile(HOSTNAME, `${name}\n`)
    const live = await readLiveName(remote)
    if (live !== undefined && live !== name) await remote.runOk({ argv: ['hostname', name] })
    if (await isInHosts(name, scene)) return
    const short = name.split('.')[0] ?? name
    const names = short === name ? name : `${name} ${short}`
    const hosts = (await remote.readText(HOSTS)) ?? '127.0.0.1\tlocalhost\n'
    const text = setLine(hosts, `127.0.1.1\t${names}`, (line) => /^\s*127\.0\.1\.1\s/.test(line))
    await remote.writeFile(HOSTS, text)
  },
})

async function readLiveName(remote: Remote): Promise<string | undefined> {
  if (remote.place === 'image') return undefined
  return (await remote.readText('/proc/sys/kernel/hostname', 1024))?.trim()
}

async function isInHosts(name: string, { remote, facts }: Scene): Promise<boolean> {
  if (facts.family !== 'debian') return true
  const lines = toLines((await remote.readText(HOSTS)) ?? '')
  return lines.some((line) => line.replace(/#.*/, '').split(/\s+/).slice(1).includes(name))
}

/** Source: hostname(7), RFC 1123; Linux takes 64 bytes. */
function isHostname(name: string): string | undefined {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
  return new RegExp(`^${label}(\\.${label})*$`).test(name) && name.length <= 64
    ? undefined
    : `'${name}' cannot be the name of a host`
}

const LOCALTIME = '/etc/localtime'
const TIMEZONE = '/etc/timezone'

export const timezone = defineValidator<string>({
  name: 'timezone',
  summary: 'the time zone',
  description:
    'As a name of the time zone database; needs the guest’s package `tzdata`, which is on nearly every one.',
  example: '- timezone: Europe/Berlin',
  schema: Type.String({ minLength: 1, title: 'a time zone such as Europe/Berlin' }),
  templated: true,
  load: (zone, loading) => {
    expectText(loading, [], zone, isZone)
    return zone
  },
  title: (zone) => `timezone ${zone}`,
  check: async (zone, scene) => {
    const { remote, facts } = scene
    demandText(zone, isZone)
    const differences: Difference[] = []
    const stat = await remote.stat(LOCALTIME)
    const found = stat?.target?.replace(/^.*zoneinfo\//, '')
    if (found !== zone)
      differences.push({
        what: LOCALTIME,
        expected: zone,
        found: found ?? (stat ? 'a copy of some zone' : 'nothing, which is UTC'),
      })
    const name = (await remote.readText(TIMEZONE))?.trim()
    if (name !== zone && (name !== undefined || facts.family === 'debian'))
      differences.push({ what: TIMEZONE, expected: zone, found: name ?? 'nothing' })
    return differences
  },
  apply: async (zone, { remote, facts }) => {
    const path = `/usr/share/zoneinfo/${zone}`
    if (!(await remote.exists(path)))
      throw new Failure('STEP_FAILED', `the guest knows no time zone '${zone}'`, {
        fix: 'Check the spelling (Region/City); install the package tzdata in a step before.',
      })
    await remote.makeLink(LOCALTIME, path)
    if (facts.family === 'debian' || (await remote.exists(TIMEZONE)))
      await remote.writeFile(TIMEZONE, `${zone}\n`)
  },
})

function isZone(zone: string): string | undefined {
  return /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z][A-Za-z0-9_+-]*){0,2}$/.test(zone)
    ? undefined
    : `'${zone}' cannot be a time zone; wanted a name such as Europe/Berlin or UTC`
}

const LOCALE_GEN = '/etc/locale.gen'
const MAX_ARCHIVE = 256 * MiB

export const locale = defineValidator<string>({
  name: 'locale',
  summary: 'the language and the formats of the system',
  description: `The locale is generated where the distribution does that (Debian and its kin: the package \`locales\` must be there) and made the
default of the whole system.`,
  example: '- locale: de_DE.UTF-8',
  schema: Type.String({ minLength: 1, title: 'a locale such as de_DE.UTF-8' }),
  templated: true,
  load: (name, loading) => {
    expectText(loading, [], name, isLocale)
    return name
  },
  title: (name) => `locale ${name}`,
  check: async (name, scene) => {
    demandText(name, isLocale)
    const differences: Difference[] = []
    const file = await defaultFileOf(scene)
    const found = readAssignment((await scene.remote.readText(file)) ?? '', 'LANG')
    if (found !== name)
      differences.push({ what: `LANG in ${file}`, expected: name, found: found ?? 'nothing' })
    if (!(await isGenerated(scene.remote, name)))
      differences.push({ what: `locale ${name}`, expected: 'generated', found: 'not there' })
    return differences
  },
  apply: async (name, scene) => {
    if (!(await isGenerated(scene.remote, name))) await generate(name, scene)
    const file = await defaultFileOf(scene)
    const text = (await scene.remote.readText(file)) ?? ''
    await scene.remote.writeFile(file, setAssignment(text, 'LANG', name))
  },
})

/** Source: locale.conf(5); Debian before 13 keeps it in /etc/default/locale. */
async function defaultFileOf({ remote, facts }: Scene): Promise<string> {
  if (facts.family !== 'debian') return '/etc/locale.conf'
  const stat = await remote.stat('/etc/default/locale')
  return stat?.type === 'link' ? '/etc/locale.conf' : '/etc/default/locale'
}

/** Locales lie each in a directory, or all in one archive that holds their names. */
async function isGenerated(remote: Remote, name: string): Promise<boolean> {
  if (/^(C|POSIX)(\.utf-?8)?$/i.test(name)) return true
  const [language = '', charset = ''] = name.split('.')
  const normal =
    charset === '' ? language : `${language}.${charset.toLowerCase().replaceAll('-', '')}`
  for (const directory of new Set([name, normal]))
    if (await remote.exists(`/usr/lib/locale/${directory}/LC_CTYPE`)) return true
  const archive = await remote.readFile('/usr/lib/locale/locale-archive', MAX_ARCHIVE)
  return (
    archive !== undefined &&
    Buffer.from(archive.buffer, archive.byteOffset, archive.length).includes(`\0${normal}\0`)
  )
}

async function generate(name: string, { remote, facts, commandTimeoutMs }: Scene): Promise<void> {
  const [language = ''] = name.split(/[_.]/)
  if (facts.family !== 'debian')
    throw new Failure('STEP_FAILED', `the guest has no locale ${name}`, {
      fix: `Install its package in a step before, such as glibc-langpack-${language}.`,
    })
  if (!(await remote.exists('/usr/sbin/locale-gen')))
    throw new Failure('STEP_FAILED', `the guest cannot make the locale ${name}`, {
      fix: 'Install the package locales in a step before.',
    })
  const charset = name.split('.')[1] ?? 'ISO-8859-1'
  const line = `${name} ${charset}`
  const text = (await remote.readText(LOCALE_GEN)) ?? ''
  const stands = new RegExp(`^#?\\s*${RegExp.escape(line)}\\s*$`)
  await remote.writeFile(
    LOCALE_GEN,
    setLine(text, line, (one) => stands.test(one)),
  )
  await remote.runOk({ argv: ['locale-gen'], timeoutMs: commandTimeoutMs })
}

function isLocale(name: string): string | undefined {
  return /^([a-z]{2,3}_[A-Z]{2}(\.[A-Za-z0-9-]+)?(@[a-z]+)?|(C|POSIX)(\.UTF-8)?)$/.test(name)
    ? undefined
    : `'${name}' cannot be a locale; wanted a name such as de_DE.UTF-8`
}
