import { formatDuration, formatSize } from '../base/units.ts'
import type { GuestAnswers } from './_guest-answers.ts'
import type { Login } from './_guest-login.ts'
import type { BootCheck } from './boot-report.ts'
import type { BootTimeline } from './boot-timeline.ts'

/** What a boot test found out. */
export interface Findings {
  timeline: BootTimeline
  /** Undefined: the guest was never so far that it was tried. */
  login: Login | undefined
  /** What the guest said after login. */
  answers: GuestAnswers | undefined
  /** Bytes of the image's disk, before it was made larger. */
  imageSize: number
}

/** A verdict on each thing that a boot test looks at. */
export function checkBoot(findings: Findings): BootCheck[] {
  const { answers, imageSize } = findings
  const inside =
    answers === undefined ? [] : [checkRoot(answers, imageSize), checkServices(answers)]
  return [checkPrompt(findings), checkCloudInit(findings), checkSsh(findings), ...inside]
}

/** Whether nothing failed, and somebody could log in. */
export function isUp(checks: readonly BootCheck[]): boolean {
  const passed = (wanted: BootCheck['name']) =>
    checks.some(({ name, status }) => name === wanted && status === 'passed')
  return (
    checks.every(({ status }) => status !== 'failed') && (passed('login-prompt') || passed('ssh'))
  )
}

function checkPrompt({ timeline, login }: Findings): BootCheck {
  const name = 'login-prompt'
  const reached = timeline.stages.find(({ stage }) => stage === 'login')
  if (reached)
    return {
      name,
      status: 'passed',
      detail: `after ${formatDuration(reached.atMs)}: ${reached.evidence}`,
    }
  if (login?.outcome !== 'logged-in')
    return { name, status: 'failed', detail: 'no login prompt came on the serial console' }
  return timeline.has('kernel')
    ? {
        name,
        status: 'warning',
        detail: 'none on the serial console; is a getty enabled on ttyS0?',
      }
    : {
        name,
        status: 'unknown',
        detail: 'the guest does not use the serial console (console=ttyS0)',
      }
}

/** Whether the console shows anything of cloud-init. */
export function hasCloudInit(timeline: BootTimeline): boolean {
  return timeline.stages.some(({ stage }) => stage.startsWith('cloud-init'))
}

function checkCloudInit({ timeline, answers }: Findings): BootCheck {
  const name = 'cloud-init'
  const { cloudInit } = answers ?? {}
  if (
    cloudInit === 'unfinished' ||
    (!answers && hasCloudInit(timeline) && !timeline.has('cloud-init-done'))
  )
    return { name, status: 'failed', detail: 'did not finish in time' }
  if (!answers && timeline.has('cloud-init-done'))
    return { name, status: 'unknown', detail: 'finished; whether with errors could not be asked' }
  if (!answers && !timeline.has('login'))
    return { name, status: 'unknown', detail: 'the guest did not come so far' }
  if (cloudInit === undefined)
    return { name, status: 'unknown', detail: 'the image has none, or it is disabled' }
  return cloudInit.errors.length > 0
    ? { name, status: 'failed', detail: `finished with errors: ${cloudInit.errors.join('; ')}` }
    : { name, status: 'passed', detail: `finished without errors, data from ${cloudInit.source}` }
}

function checkSsh({ timeline, login }: Findings): BootCheck {
  const name = 'ssh'
  if (login?.outcome === 'logged-in')
    return { name, status: 'passed', detail: 'logged in with the injected key' }
  const said = login === undefined ? 'the guest was not up' : login.said
  return timeline.has('login') && !hasCloudInit(timeline)
    ? { name, status: 'unknown', detail: `without cloud-init no key could be injected (${said})` }
    : { name, status: 'failed', detail: `could not log in: ${said}` }
}

function checkRoot({ rootSize }: GuestAnswers, imageSize: number): BootCheck {
  const name = 'root-grows'
  if (rootSize === undefined)
    return { name, status: 'unknown', detail: 'the guest did not tell the size of its root' }
  const size = formatSize(rootSize)
  return rootSize > imageSize
    ? { name, status: 'passed', detail: `the root file system grew with the disk, to ${size}` }
    : {
        name,
        status: 'warning',
        detail: `the disk is larger than the image, but its root stayed at ${size}`,
      }
}

function checkServices({ failedServices }: GuestAnswers): BootCheck {
  const name = 'services'
  return failedServices.length === 0
    ? { name, status: 'passed', detail: 'none failed' }
    : { name, status: 'warning', detail: `failed: ${failedServices.join(', ')}` }
}
