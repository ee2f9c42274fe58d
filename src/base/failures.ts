/**
 * Everything that can go wrong and was foreseen, as one table: what a `Failure` of each code is for those who asked.
 */

/** What a process answers with when it ends. */
export const EXIT = {
  done: 0,
  failed: 1,
  wrongUse: 2,
  notFound: 3,
  differs: 4,
  bug: 70,
  interrupted: 130,
} as const

export interface FailureKind {
  /** HTTP status for the same failure at the server's door. */
  status: number
  /** Exit code of the command. */
  exit: number
  /** What this kind of failure is, in one line. */
  title: string
  /** What usually helps. */
  fix?: string
}

/** Every foreseen failure. `docs/failures.md` shows the same table; a test compares them. */
export const FAILURES = {
  // Use
  USAGE: { status: 400, exit: 2, title: 'The command line is wrong', fix: 'See `ingot --help`.' },
  CONFIG_INVALID: {
    status: 500,
    exit: 2,
    title: 'The configuration is wrong',
    fix: 'See `ingot config show`.',
  },
  INTERRUPTED: { status: 499, exit: 130, title: 'Interrupted by the user' },
  FILE_NOT_FOUND: { status: 404, exit: 3, title: 'A file that was named does not exist' },
  FILE_UNREADABLE: {
    status: 500,
    exit: 1,
    title: 'A file cannot be read or written',
    fix: 'Check its owner and mode.',
  },
  NO_SPACE: {
    status: 507,
    exit: 1,
    title: 'No space left on a disk',
    fix: 'Free some space, or set TMPDIR to a larger disk.',
  },
  READER_GONE: { status: 499, exit: 1, title: 'Whoever read the output has gone' },
  TOOL_MISSING: {
    status: 500,
    exit: 1,
    title: 'A program or library this needs is not installed',
    fix: 'Run `ingot doctor`.',
  },
  NEEDS_ROOT: {
    status: 500,
    exit: 1,
    title: 'This needs root',
    fix: 'Run it as root, or choose another way with --via.',
  },
  NEEDS_TRUST: {
    status: 400,
    exit: 2,
    title: 'This way is for images that somebody vouches for',
    fix: 'Say --trusted if you made the image or trust who did; else use --via appliance.',
  },
  ADDRESS_IN_USE: {
    status: 409,
    exit: 1,
    title: 'Something else listens there, or stands there',
    fix: 'Name another address.',
  },
  NOT_SERVED: { status: 404, exit: 3, title: 'There is nothing at this address' },

  // Recipes
  RECIPE_NOT_FOUND: { status: 404, exit: 3, title: 'No such recipe' },
  RECIPE_INVALID: {
    status: 400,
    exit: 2,
    title: 'The recipe has faults',
    fix: 'Run `ingot recipe check FILE`; docs/recipes.md has every validator.',
  },
  ARGUMENT_INVALID: {
    status: 400,
    exit: 2,
    title: 'An argument of the recipe has no acceptable value',
    fix: 'Run `ingot recipe show FILE` to see the arguments.',
  },
  CHECK_FAILED: { status: 409, exit: 4, title: 'The image or host is not as the recipe says' },
  STEP_FAILED: { status: 500, exit: 1, title: 'A step of the recipe failed' },
  CLEAN_LINT: {
    status: 409,
    exit: 4,
    title: 'The image still holds what must never be shared between machines',
  },

  // Images
  IMAGE_NOT_FOUND: { status: 404, exit: 3, title: 'No such image' },
  IMAGE_UNREADABLE: { status: 400, exit: 1, title: 'The file is not an image that Ingot can open' },
  IMAGE_UNSAFE: { status: 400, exit: 4, title: 'The image is not safe to open' },
  IMAGE_TRUNCATED: { status: 400, exit: 1, title: 'The image is cut short' },
  IMAGE_DIRTY: {
    status: 409,
    exit: 1,
    title: 'The image file was not closed cleanly',
    fix: 'Repair a copy of it: qemu-img check -r all FILE',
  },
  IMAGE_BUSY: { status: 409, exit: 1, title: 'Somebody else is working on the image' },
  IMAGE_READ_ONLY: { status: 409, exit: 1, title: 'The image cannot be written' },
  VIEW_IMPOSSIBLE: { status: 409, exit: 1, title: 'The disk does not fit the format asked for' },
  FORMAT_UNKNOWN: {
    status: 400,
    exit: 2,
    title: 'No such disk format',
    fix: 'See `ingot convert --help` for the formats.',
  },
  FILE_SYSTEM_DIRTY: {
    status: 409,
    exit: 1,
    title: 'A file system of the image was not unmounted cleanly',
  },
  FILE_SYSTEM_UNSUPPORTED: {
    status: 400,
    exit: 1,
    title: 'A file system of the image cannot be read this way',
    fix: 'Use --via appliance.',
  },
  FILE_SYSTEM_ENCRYPTED: { status: 400, exit: 1, title: 'The disk of the image is encrypted' },
  NO_OPERATING_SYSTEM: { status: 400, exit: 1, title: 'No operating system found in the image' },
  SEVERAL_OPERATING_SYSTEMS: {
    status: 409,
    exit: 2,
    title: 'More than one operating system found in the image',
    fix: 'Name one with --root-filesystem.',
  },

  // The image service
  REQUEST_INVALID: { status: 400, exit: 2, title: 'The request is wrong' },
  REQUEST_TIMEOUT: { status: 408, exit: 1, title: 'The request took too long to arrive' },
  UNAUTHENTICATED: {
    status: 401,
    exit: 1,
    title: 'Nobody knows who is asking',
    fix: 'Give a valid token.',
  },
  FORBIDDEN: { status: 403, exit: 1, title: 'That is not allowed' },
  NOT_ACCEPTABLE: { status: 406, exit: 1, title: 'No media type that the client takes' },
  METHOD_NOT_ALLOWED: { status: 405, exit: 1, title: 'There is no such method at this address' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, exit: 1, title: 'The body has the wrong media type' },
  RANGE_IMPOSSIBLE: { status: 416, exit: 1, title: 'The range lies outside of the content' },
  IMAGE_EXISTS: { status: 409, exit: 1, title: 'There is an image with this id' },
  IMAGE_STATE: { status: 409, exit: 1, title: 'The image is not in a state for that' },
  IMAGE_CHANGED: { status: 409, exit: 1, title: 'Somebody else changed the image meanwhile' },
  IMAGE_GONE: { status: 410, exit: 3, title: 'The image was deleted meanwhile' },
  IMAGE_PROTECTED: { status: 403, exit: 1, title: 'The image is protected from being deleted' },
  FORMAT_MISMATCH: {
    status: 415,
    exit: 1,
    title: 'The data is not of the format that the image says',
  },
  PROPERTY_CONFLICT: { status: 409, exit: 1, title: 'A property is there, or is not there' },
  MEMBER_EXISTS: { status: 409, exit: 1, title: 'The image is shared with this project already' },
  MEMBER_NOT_FOUND: { status: 404, exit: 3, title: 'The image is not shared with this project' },
  TAG_NOT_FOUND: { status: 404, exit: 3, title: 'The image has no such tag' },
  LOCATION_NOT_FOUND: { status: 404, exit: 3, title: 'The image has no such location' },
  LIMIT_EXCEEDED: { status: 413, exit: 1, title: 'More than the service allows' },
  QUOTA_EXCEEDED: { status: 413, exit: 1, title: 'More than the project may have' },

  // Metadata definitions
  DEFINITION_EXISTS: { status: 409, exit: 1, title: 'There is a definition of this name' },
  DEFINITION_NOT_FOUND: { status: 404, exit: 3, title: 'No such definition' },

  // Stores
  STORE_UNKNOWN: { status: 400, exit: 2, title: 'No store of this name' },
  IMPORT_STORE_UNKNOWN: {
    status: 409,
    exit: 2,
    title: 'An import names a store that takes no data',
  },
  STORE_READ_ONLY: { status: 410, exit: 1, title: 'The store takes no data' },
  STORE_DENIED: { status: 503, exit: 1, title: 'The store refused us' },
  STORE_FULL: { status: 413, exit: 1, title: 'The store is full' },
  STORE_AWAY: { status: 503, exit: 1, title: 'The store cannot be reached' },
  OBJECT_NOT_FOUND: { status: 404, exit: 3, title: 'The data is not in the store' },

  // Tasks
  TASK_NOT_FOUND: { status: 404, exit: 3, title: 'No such task' },
  TASK_CANCELLED: { status: 409, exit: 1, title: 'The task was cancelled' },
  TASK_FAILED: { status: 500, exit: 1, title: 'The work of a task did not come to its end' },
  LEASE_LOST: { status: 409, exit: 1, title: 'Somebody else has taken over the work' },
  SUBJECT_BUSY: { status: 409, exit: 1, title: 'Other work on the same image is under way' },

  // What the service stands on
  DATABASE_AWAY: { status: 503, exit: 1, title: 'The database cannot be reached' },
  DATABASE_BUSY: { status: 503, exit: 1, title: 'The database is too busy' },
  DATABASE_FULL: {
    status: 503,
    exit: 1,
    title: 'There is no space left for the database',
    fix: 'Free some space on the disk of the database.',
  },
  KEYSTONE_AWAY: { status: 503, exit: 1, title: 'Keystone cannot be reached' },
  KEYSTONE_DENIED: {
    status: 503,
    exit: 1,
    title: 'Keystone refused the credentials',
    fix: 'Check user, password, project and their domains.',
  },
  ENDPOINT_UNKNOWN: { status: 502, exit: 3, title: 'The cloud has no such service' },
  DATA_DIR_HELD: {
    status: 409,
    exit: 1,
    title: 'Another server holds the data directory',
    fix: 'Stop it, or name another directory with --data-dir.',
  },

  // Remotes
  REMOTE_UNREACHABLE: { status: 502, exit: 1, title: 'The host cannot be reached' },
  REMOTE_DENIED: { status: 502, exit: 1, title: 'The host refused us' },
  REMOTE_UNTRUSTED: {
    status: 502,
    exit: 1,
    title: 'The host does not show the key it is known by',
  },
  REMOTE_LOST: { status: 502, exit: 1, title: 'The connection to the place of work was lost' },
  REMOTE_CANNOT: { status: 409, exit: 1, title: 'The place of work cannot do this' },
  GUEST_NETWORK_FAILED: {
    status: 500,
    exit: 1,
    title: 'The network of a guest could not be made',
    fix: 'See `ingot doctor`, and guest_network in docs/operating.md.',
  },
  COMMAND_FAILED: { status: 500, exit: 1, title: 'A command failed' },
  COMMAND_TIMEOUT: {
    status: 504,
    exit: 1,
    title: 'A command took too long',
    fix: 'Raise the limit with --step-timeout, or find out what it waits for.',
  },
  DISTRO_UNKNOWN: { status: 400, exit: 1, title: 'The guest is of a kind Ingot does not know' },
  DOWNLOAD_FAILED: { status: 502, exit: 1, title: 'A download failed' },
  DIGEST_MISMATCH: { status: 400, exit: 1, title: 'The content is not what its digest says' },
  SIGNATURE_INVALID: { status: 400, exit: 4, title: 'The content is not what was signed' },
  CERTIFICATE_NOT_FOUND: { status: 400, exit: 3, title: 'No certificate to verify it with' },

  // Machines and builds
  MACHINE_FAILED: { status: 500, exit: 1, title: 'The virtual machine did not run' },
  BOOT_FAILED: { status: 500, exit: 4, title: 'The image did not boot as it should' },
  BUILD_FAILED: { status: 500, exit: 1, title: 'The build failed' },

  // The image factory
  TEMPLATE_INVALID: {
    status: 400,
    exit: 2,
    title: 'The template has faults',
    fix: 'Run `ingot tdl check FILE`; docs/tdl.md has every element.',
  },
  PART_UNKNOWN: {
    status: 400,
    exit: 2,
    title: 'No OS builder or cloud target of this name',
    fix: 'See `ingot factory plugins`.',
  },
  BUILD_NOT_FOUND: {
    status: 404,
    exit: 3,
    title: 'No such factory image',
    fix: 'See `ingot factory images`.',
  },
  BUILD_STATE: { status: 409, exit: 1, title: 'The factory image is not in a state for that' },
  PHASE_TIMEOUT: {
    status: 504,
    exit: 1,
    title: 'A phase of a build took too long',
    fix: 'Raise the limit of this phase; the build’s log says what it waited for.',
  },
  INSTALL_FAILED: { status: 500, exit: 1, title: 'The installer did not install' },
  CLOUD_AWAY: { status: 503, exit: 1, title: 'The cloud cannot be reached' },
  CLOUD_DENIED: {
    status: 403,
    exit: 1,
    title: 'The cloud refused the credentials, or what was asked with them',
  },
  CLOUD_FULL: { status: 507, exit: 1, title: 'The cloud has no room: a quota, or no host' },
  CLOUD_FAILED: { status: 502, exit: 1, title: 'The cloud did not do what it was asked for' },
  CLOUD_NOT_FOUND: { status: 404, exit: 3, title: 'The cloud has no such thing' },
} as const satisfies Record<string, FailureKind>

export type FailureCode = keyof typeof FAILURES
