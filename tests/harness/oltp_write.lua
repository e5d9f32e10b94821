-- sysbench: the four writes of its own oltp_write_only (update of an indexed column, update of another, delete, insert of the
-- same key) in one transaction, on ids that begin at --first-id, so that two shards never share one.
sysbench.cmdline.options = {
   table = {"Name of the table", "sbtest1"},
   first_id = {"First id", 1},
   table_size = {"Number of rows", 10000}
}

local con

function thread_init()
   con = sysbench.sql.driver():connect()
end

function thread_done()
   con:disconnect()
end

local function id()
   return sysbench.opt.first_id + sysbench.rand.uniform(0, sysbench.opt.table_size - 1)
end

local function c()
   return sysbench.rand.string("###########-###########-###########-###########-###########-" ..
                               "###########-###########-###########-###########-###########")
end

local function pad()
   return sysbench.rand.string("###########-###########-###########-###########-###########")
end

function event()
   local t = sysbench.opt.table
   local gone = id()
   con:query("BEGIN")
   con:query(string.format("UPDATE %s SET k = k + 1 WHERE id = %d", t, id()))
   con:query(string.format("UPDATE %s SET c = '%s' WHERE id = %d", t, c(), id()))
   con:query(string.format("DELETE FROM %s WHERE id = %d", t, gone))
   con:query(string.format("INSERT INTO %s (id, k, c, pad) VALUES (%d, %d, '%s', '%s')", t, gone, id(), c(), pad()))
   con:query("COMMIT")
end

-- a deadlock or a duplicate key under concurrency: the transaction is tried again
function sysbench.hooks.sql_error_ignorable(err)
   return err.sql_errno == 1213 or err.sql_errno == 1205 or err.sql_errno == 1062 or err.sql_errno == 1020
end
