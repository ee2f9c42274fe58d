/** The compute service (Nova, API v2.1 and its microversions) as far as images are built with it. */

export interface ServerAddress {
  /** Name of the network. */
  readonly network: string
  readonly address: string
  readonly version: 4 | 6
  readonly kind: 'fixed' | 'floating'
}

export interface Server {
  readonly id: string
  readonly name: string
  /** `BUILD`, `ACTIVE`, `SHUTOFF`, `ERROR`, `DELETED`, … */
  readonly status: string
  /** What is being done with it now: `spawning`, `image_snapshot`; null: nothing. */
  readonly taskState: string | null
  /** Why it is in ERROR, in the cloud's words. */
  readonly fault: string | undefined
  readonly addresses: readonly ServerAddress[]
  readonly metadata: Readonly<Record<string, string>>
  /** Ids of volumes that are attached. */
  readonly volumeIds: readonly string[]
}

/** A disk of a new server. Source: `block_device_mapping_v2`. */
export interface ServerDisk {
  readonly from: 'image' | 'volume' | 'blank'
  /** Id of the image or the volume. */
  readonly id?: string
  /** `local`: on the host, gone with the server. */
  readonly to: 'local' | 'volume'
  /** Order in which the firmware tries it; left out: never. */
  readonly bootIndex?: number
  readonly sizeGiB?: number
  readonly type?: 'disk' | 'cdrom'
  readonly bus?: string
  readonly deleteOnTermination: boolean
}

export interface NewServer {
  readonly name: string
  readonly flavorId: string
  /** Left out: it boots from `disks`. */
  readonly imageId?: string | undefined
  readonly disks?: readonly ServerDisk[]
  readonly portIds: readonly string[]
  readonly keyName?: string | undefined
  /** As it is, not encoded; at most 48 KiB. */
  readonly userData?: string | undefined
  readonly availabilityZone?: string | undefined
  readonly configDrive?: boolean | undefined
  readonly metadata: Readonly<Record<string, string>>
}

export interface Flavor {
  readonly id: string
  readonly name: string
  readonly vcpus: number
  readonly ramMiB: number
  /** 0: as large as the image. */
  readonly diskGiB: number
}

export interface ComputeService {
  /** The microversion that is spoken: the newest that both know. */
  microversion(): Promise<string>
  /** Makes it, or finds the one that a lost answer told of, by its name and metadata. Its id. */
  createServer(server: NewServer): Promise<string>
  getServer(id: string): Promise<Server>
  /** Those of the project whose name begins so. */
  listServers(namePrefix: string): Promise<readonly Server[]>
  /** Asks for it to be gone; false: it was already. */
  deleteServer(id: string): Promise<boolean>
  startServer(id: string): Promise<void>
  stopServer(id: string): Promise<void>
  /** Has an image made of the server's disk, with these properties. Its id; it is done when the image is active. */
  createImage(
    serverId: string,
    name: string,
    properties: Readonly<Record<string, string>>,
  ): Promise<string>
  /** The last lines of its console; undefined: the cloud does not give them (yet). */
  readConsole(id: string, lines?: number): Promise<string | undefined>
  /** Sums of what it read, wrote, received and sent, in bytes; undefined: we may not know, or cannot now. */
  readActivity(id: string): Promise<ServerActivity | undefined>
  createKeypair(name: string, publicKey: string): Promise<void>
  listKeypairs(): Promise<readonly string[]>
  /** False: it was gone already. */
  deleteKeypair(name: string): Promise<boolean>
  listFlavors(): Promise<readonly Flavor[]>
  /** Names of those that are available. */
  listZones(): Promise<readonly string[]>
}

export interface ServerActivity {
  readonly diskBytes: number
  readonly networkBytes: number
}
