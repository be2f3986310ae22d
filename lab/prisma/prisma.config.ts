// SPDX-License-Identifier: GPL-3.0-or-later
// Prisma's own WASM engine does the work, so that nothing native is downloaded.
import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";

// The adapter would cut a migration at every semicolon, even in the body of a function, and run the pieces one by one.
// The native engine sends it whole, and PostgreSQL runs all of it or nothing: so it is here.
class WholeMigrations extends PrismaPg {
  async connect() {
    const connection: any = await super.connect();
    connection.executeScript = async (script: string) => {
      try {
        await connection.client.query(script);
      } catch (error) {
        connection.onError(error);
      }
    };
    return connection;
  }
}

export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
  adapter: async () => new WholeMigrations({ connectionString: process.env.DATABASE_URL }),
});
