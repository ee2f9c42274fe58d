/** `service`. */
import { Failure } from '../../base/failure.ts'
import { readUnitState, refuseUnitName, toUnitName, type UnitState } from '../../guests/units.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface ServiceOptions {
  name: string
  enabled?: boolean
  masked?: boolean
  running?: boolean
}

export const service = defineValidator<string | ServiceOptions, ServiceOptions>({
  name: 'service',
  summary: 'a service that is started at boot, or is not; running or stopped on a live host',
  description: `The short form, and a form without \`enabled\` and \`masked\`, mean \`enabled: true\`. Whether it is started at boot is read from
systemd’s unit files and links (or the rc links of old), so an image is checked without running anything of it. On a running host an enabled service
must run too, unless \`running: false\` is said; in an image \`running\` is not looked at. A name without a suffix is a \`.service\`; timers and sockets
are named in full: \`fstrim.timer\`.`,
  example: `
- service: nginx
- service: {name: apt-daily.timer, enabled: false}
- service: {name: rpcbind.socket, masked: true}`,
  schema: Type.Union([
    Type.String({ minLength: 1, title: 'the name of a service' }),
    Type.Object(
      {
        name: Type.String({
          minLength: 1,
          description: 'name of the unit; `.service` may be left out',
        }),
        enabled: Type.Optional(Type.Boolean({ description: 'whether it is started at boot' })),
        masked: Type.Optional(Type.Boolean({ description: 'whether nothing at all may start it' })),
        running: Type.Optional(
          Type.Boolean({ description: 'whether it runs now; only on a running host' }),
        ),
      },
      { additionalProperties: false },
    ),
  ]),
  templated: true,
  load: (spec, loading) => {
    const options = typeof spec === 'string' ? { name: spec } : spec
    expectText(loading, typeof spec === 'string' ? [] : ['name'], options.name, refuseUnitName)
    if (options.masked && (options.enabled || options.running))
      loading.fault(['masked'], 'a masked service can be neither enabled nor running')
    return options
  },
  title: ({ name, enabled, masked }) =>
    `service ${name}${masked ? ' masked' : enabled === false ? ' disabled' : ''}`,
  check: async (options, scene) => {
    const unit = toUnitName(demandText(options.name, refuseUnitName))
    const state = await readUnitState(scene.remote, unit)
    return [
      ...compareState(unit, state, options),
      ...(await compareRunning(unit, state, options, scene)),
    ]
  },
  apply: async (options, scene) => {
    const unit = toUnitName(options.name)
    const state = await readUnitState(scene.remote, unit)
    const differs = compareState(unit, state, options).length > 0
    if (differs && state === 'missing' && !options.masked)
      throw new Failure('STEP_FAILED', `the guest has no service ${unit}`, {
        fix: 'Install the package that brings it in a step before.',
      })
    if (differs) await changeState(unit, state, options, scene)
    await changeRunning(unit, options, scene)
  },
})

function compareState(unit: string, state: UnitState, options: ServiceOptions): Difference[] {
  const { masked } = options
  const differ = (expected: string): Difference[] => [{ what: unit, expected, found: state }]
  if (masked) return state === 'masked' ? [] : differ('masked')
  if (masked === false && state === 'masked') return differ('not masked')
  if (options.enabled === false) return state === 'enabled' ? differ('disabled') : []
  if (masked === false && options.enabled === undefined) return []
  return state === 'enabled' ? [] : differ('enabled')
}

/** Source: systemctl(1); `--root` works on files alone, without a systemd that runs. */
async function changeState(
  unit: string,
  state: UnitState,
  options: ServiceOptions,
  scene: Scene,
): Promise<void> {
  const { remote } = scene
  if (!(await hasSystemctl(scene))) return await changeSysv(unit, options, scene)
  const systemctl = ['systemctl', ...(remote.place === 'image' ? ['--root=/'] : [])]
  const order = async (verb: string) =>
    await remote.runOk({
      argv: [...systemctl, verb, '--', unit],
      timeoutMs: scene.commandTimeoutMs,
    })
  if (options.masked) {
    await order('mask')
    return
  }
  if (state === 'masked') await order('unmask')
  if (options.enabled === false) await order('disable')
  else if (options.masked === undefined || options.enabled) {
    if (state === 'static')
      throw new Failure(
        'STEP_FAILED',
        `${unit} has no [Install] section, so it cannot be enabled`,
        {
          fix: 'Enable what starts it, such as a timer or a socket of the same name.',
        },
      )
    await order('enable')
  }
}

async function hasSystemctl({ remote }: Scene): Promise<boolean> {
  return (await remote.exists('/usr/bin/systemctl')) || (await remote.exists('/bin/systemctl'))
}

async function changeSysv(unit: string, options: ServiceOptions, scene: Scene): Promise<void> {
  const name = unit.replace(/\.service$/, '')
  const isDebian = scene.facts.family === 'debian'
  if (options.masked !== undefined)
    throw new Failure('STEP_FAILED', `${name} cannot be masked in a guest without systemd`)
  const on = options.enabled !== false
  await scene.remote.runOk({
    argv: isDebian
      ? ['update-rc.d', name, on ? 'enable' : 'disable']
      : ['chkconfig', name, on ? 'on' : 'off'],
    timeoutMs: scene.commandTimeoutMs,
  })
}

/** What must be so on a running host; undefined if it is of no matter. */
function wantsRunning({ enabled, masked, running }: ServiceOptions): boolean | undefined {
  if (running !== undefined) return running
  if (masked) return false
  return enabled === false || (masked === false && enabled === undefined) ? undefined : true
}

async function compareRunning(
  unit: string,
  state: UnitState,
  options: ServiceOptions,
  scene: Scene,
): Promise<Difference[]> {
  const wanted = wantsRunning(options)
  if (scene.remote.place === 'image' || wanted === undefined || state === 'missing') return []
  const found = await readActivity(unit, scene)
  if (found.isRunning === wanted) return []
  return [{ what: unit, expected: wanted ? 'running' : 'stopped', found: found.text }]
}

/** A service that does its work once and ends well counts as running. */
async function readActivity(
  unit: string,
  scene: Scene,
): Promise<{ isRunning: boolean; text: string; needsReload: boolean }> {
  if (!(await hasSystemctl(scene))) {
    const name = unit.replace(/\.service$/, '')
    const { code } = await scene.remote.run({ argv: ['service', name, 'status'] })
    return { isRunning: code === 0, text: code === 0 ? 'running' : 'stopped', needsReload: false }
  }
  const properties =
    'ActiveState,SubState,Type,Result,ExecMainStartTimestampMonotonic,NeedDaemonReload'
  const said = await scene.remote.runOk({
    argv: ['systemctl', 'show', `--property=${properties}`, '--', unit],
  })
  const values = new Map(
    said.split('\n').map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)] as const
    }),
  )
  const activity = values.get('ActiveState') ?? 'unknown'
  const hasDoneItsWork =
    values.get('Type') === 'oneshot' &&
    values.get('Result') === 'success' &&
    !['', '0'].includes(values.get('ExecMainStartTimestampMonotonic') ?? '')
  return {
    isRunning: ['active', 'activating', 'reloading'].includes(activity) || hasDoneItsWork,
    text: `${activity} (${values.get('SubState') ?? ''})`,
    needsReload: values.get('NeedDaemonReload') === 'yes',
  }
}

async function changeRunning(unit: string, options: ServiceOptions, scene: Scene): Promise<void> {
  const { remote } = scene
  const wanted = wantsRunning(options)
  if (remote.place === 'image' || wanted === undefined) return
  const { isRunning, needsReload } = await readActivity(unit, scene)
  if (isRunning === wanted) return
  const order = async (argv: readonly string[]) =>
    await remote.runOk({ argv, timeoutMs: scene.commandTimeoutMs })
  if (!(await hasSystemctl(scene))) {
    await order(['service', unit.replace(/\.service$/, ''), wanted ? 'start' : 'stop'])
    return
  }
  if (needsReload) await order(['systemctl', 'daemon-reload'])
  await order(['systemctl', wanted ? 'start' : 'stop', '--', unit])
}
