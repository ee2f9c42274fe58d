/** What a guest said of its first boot. */
export interface GuestAnswers {
  /** Undefined: it has none, or it is disabled. `source`: where its data came from. */
  cloudInit: 'unfinished' | { source: string; errors: readonly string[] } | undefined
  failedServices: readonly string[]
  /** Bytes of the root file system. */
  rootSize: number | undefined
}

/**
 * The shell script that asks: it waits for cloud-init's own report, `seconds` at most, and tells it,
 * the failed services and the size of the root file system, each under a headline. It reads files
 * and starts no Python, for which an emulated guest needs ten seconds.
 */
export function guestScript(seconds: number): string {
  return `
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
left=${Math.max(0, Math.floor(seconds))}
state=/run/cloud-init
while [ -d $state ] && [ ! -e $state/disabled ] && [ ! -e $state/result.json ] && [ $left -gt 0 ]
do
  sleep 1
  left=$((left - 1))
done
echo '=== cloud-init'
if [ -e $state/result.json ]; then head -c 65536 $state/result.json
elif [ -d $state ] && [ ! -e $state/disabled ]; then echo unfinished
else echo none
fi
echo
echo '=== services'
systemctl list-units --state=failed --no-legend --plain --no-pager 2>/dev/null | head -n 50
echo '=== root'
df -P -k / | tail -n 1
`
}

/** Reads what the script printed; a guest that says nonsense has said nothing. */
export function parseGuestAnswers(text: string): GuestAnswers {
  const parts = new Map<string, string>()
  for (const part of text.split(/^=== /m).slice(1)) {
    const [name = '', ...lines] = part.split('\n')
    parts.set(name.trim(), lines.join('\n').trim())
  }
  const failedServices = (parts.get('services') ?? '').split('\n').flatMap((line) => {
    const unit = /^([\w@:.\\-]{1,200}\.[a-z]+)(?:\s|$)/.exec(line)?.[1]
    return unit === undefined ? [] : [unit]
  })
  const kibibytes = /^\S+\s+(\d{1,12})\s/.exec(parts.get('root') ?? '')?.[1]
  return {
    cloudInit: parseCloudInit(parts.get('cloud-init') ?? 'none'),
    failedServices: failedServices.slice(0, 50),
    rootSize: kibibytes === undefined ? undefined : Number(kibibytes) * 1024,
  }
}

/** `{"v1": {"datasource": "DataSourceNoCloud […]", "errors": []}}` */
function parseCloudInit(text: string): GuestAnswers['cloudInit'] {
  if (text === 'none') return undefined
  if (text === 'unfinished') return 'unfinished'
  try {
    const { v1 } = JSON.parse(text) as { v1?: { datasource?: unknown; errors?: unknown } }
    const errors: unknown[] = Array.isArray(v1?.errors) ? v1.errors : []
    const source = typeof v1?.datasource === 'string' ? v1.datasource : 'an unknown source'
    return {
      source: source.slice(0, 200),
      errors: errors.slice(0, 20).map((error) => JSON.stringify(error).slice(0, 500)),
    }
  } catch {
    return undefined
  }
}
