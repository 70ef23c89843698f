/// The calibration text that is used if a method needs one and none is given.
///
/// A few pages of prose and of technical documentation: enough to see which channels of a model are large, too little to
/// represent a model's own domain. A text in the language and of the kind that the model will process is better.
public enum DefaultCalibration {
  /// The excerpts, one after another, separated by blank lines.
  public static let text = [
    kenilworth, autoincrement, littleLordFauntleroy, hardTimes, transactions, idealHusband, applicationDefinedFunctions,
    utopia, secretSharer, virtualFileSystem, inimitableJeeves, floatingPoint, inTheRavine, henryV, firmOfGirdlestone,
  ].joined(separator: "\n\n")

  /// Where the text comes from and its terms of use, for reports.
  public static let origin =
    "built-in excerpts of Project Gutenberg books (public domain in the USA) and of the SQLite documentation (public domain)"

  /// SQLite documentation, AUTOINCREMENT.
  static let autoincrement = #"""
    2. Background

    In SQLite, table rows normally have a 64-bit signed integer ROWID which is unique among all rows in the same table. \#
    (WITHOUT ROWID tables are the exception.)

    You can access the ROWID of an SQLite table using one of the special column names ROWID, _ROWID_, or OID. Except if you \#
    declare an ordinary table column to use one of those special names, then the use of that name will refer to the declared \#
    column not to the internal ROWID.

    If a table contains a column of type INTEGER PRIMARY KEY, then that column becomes an alias for the ROWID. You can then \#
    access the ROWID using any of four different names, the original three names described above or the name given to the \#
    INTEGER PRIMARY KEY column. All these names are aliases for one another and work equally well in any context.

    When a new row is inserted into an SQLite table, the ROWID can either be specified as part of the INSERT statement or it \#
    can be assigned automatically by the database engine. To specify a ROWID manually, just include it in the list of values to \#
    be inserted. For example:

    CREATE TABLE test1(a INT, b TEXT);
    INSERT INTO test1(rowid, a, b) VALUES(123, 5, 'hello');

    If no ROWID is specified on the insert, or if the specified ROWID has a value of NULL, then an appropriate ROWID is created \#
    automatically. The usual algorithm is to give the newly created row a ROWID that is one larger than the largest ROWID in \#
    the table prior to the insert. If the table is initially empty, then a ROWID of 1 is used. If the largest ROWID is equal to \#
    the largest possible integer (9223372036854775807) then the database engine starts picking positive candidate ROWIDs at \#
    random until it finds one that is not previously used. If no unused ROWID can be found after a reasonable number of \#
    attempts, the insert operation fails with an SQLITE_FULL error. If no negative ROWID values are inserted explicitly, then \#
    automatically generated ROWID values will always be greater than zero.

    The normal ROWID selection algorithm described above will generate monotonically increasing unique ROWIDs as long as you \#
    never use the maximum ROWID value and you never delete the entry in the table with the largest ROWID. If you ever delete \#
    rows or if you ever create a row with the maximum possible ROWID, then ROWIDs from previously deleted rows might be reused \#
    when creating new rows and newly created ROWIDs might not be in strictly ascending order.

    3. The AUTOINCREMENT Keyword

    If a column has the type INTEGER PRIMARY KEY AUTOINCREMENT then a slightly different ROWID selection algorithm is used. The \#
    ROWID chosen for the new row is at least one larger than the largest ROWID that has ever before existed in that same table. \#
    If the table has never before contained any data, then a ROWID of 1 is used. If the largest possible ROWID has previously \#
    been inserted, then new INSERTs are not allowed and any attempt to insert a new row will fail with an SQLITE_FULL error. \#
    Only ROWID values from previous transactions that were committed are considered. ROWID values that were rolled back are \#
    ignored and can be reused.

    SQLite keeps track of the largest ROWID using an internal table named "sqlite_sequence". The sqlite_sequence table is \#
    created and initialized automatically whenever a normal table that contains an AUTOINCREMENT column is created. The content \#
    of the sqlite_sequence table can be modified using ordinary UPDATE, INSERT, and DELETE statements. But making modifications \#
    to this table will likely perturb the AUTOINCREMENT key generation algorithm. Make sure you know what you are doing before \#
    you undertake such changes. The sqlite_sequence table does not track ROWID changes associated with UPDATE statement, only \#
    INSERT statements.

    The behavior implemented by the AUTOINCREMENT keyword is subtly different from the default behavior. With AUTOINCREMENT, \#
    rows with automatically selected ROWIDs are guaranteed to have ROWIDs that have never been used before by the same table in \#
    the same database. And the automatically generated ROWIDs are guaranteed to be monotonically increasing. These are \#
    important properties in certain applications. But if your application does not need these properties, you should probably \#
    stay with the default behavior since the use of AUTOINCREMENT requires additional work to be done as each row is inserted \#
    and thus causes INSERTs to run a little slower.

    Note that "monotonically increasing" does not imply that the ROWID always increases by exactly one. One is the usual \#
    increment. However, if an insert fails due to (for example) a uniqueness constraint, the ROWID of the failed insertion \#
    attempt might not be reused on subsequent inserts, resulting in gaps in the ROWID sequence. AUTOINCREMENT guarantees that \#
    automatically chosen ROWIDs will be increasing but not that they will be sequential.
    """#

  /// SQLite documentation, transactions.
  static let transactions = #"""
    2.1. Read transactions versus write transactions

    SQLite supports multiple simultaneous read transactions coming from separate database connections, possibly in separate \#
    threads or processes, but only one simultaneous write transaction.

    A read transaction is used for reading only. A write transaction allows both reading and writing. A read transaction is \#
    started by a SELECT statement, and a write transaction is started by statements like CREATE, DELETE, DROP, INSERT, or \#
    UPDATE (collectively "write statements"). If a write statement occurs while a read transaction is active, then the read \#
    transaction is upgraded to a write transaction if possible. If some other database connection has already modified the \#
    database or is already in the process of modifying the database, then upgrading to a write transaction is not possible and \#
    the write statement will fail with SQLITE_BUSY.

    While a read transaction is active, any changes to the database that are implemented by separate database connections will \#
    not be seen by the database connection that started the read transaction. If database connection X is holding a read \#
    transaction, it is possible that some other database connection Y might change the content of the database while X's \#
    transaction is still open, however X will not be able to see those changes until after the transaction ends. While its read \#
    transaction is active, X will continue to see an historic snapshot of the database prior to the changes implemented by Y.

    2.2. DEFERRED, IMMEDIATE, and EXCLUSIVE transactions

    Transactions can be DEFERRED, IMMEDIATE, or EXCLUSIVE. The default transaction behavior is DEFERRED.

    DEFERRED means that the transaction does not actually start until the database is first accessed. Internally, the BEGIN \#
    DEFERRED statement merely sets a flag on the database connection that turns off the automatic commit that would normally \#
    occur when the last statement finishes. This causes the transaction that is automatically started to persist until an \#
    explicit COMMIT or ROLLBACK or until a rollback is provoked by an error or an ON CONFLICT ROLLBACK clause. If the first \#
    statement after BEGIN DEFERRED is a SELECT, then a read transaction is started. Subsequent write statements will upgrade \#
    the transaction to a write transaction if possible, or return SQLITE_BUSY. If the first statement after BEGIN DEFERRED is a \#
    write statement, then a write transaction is started.

    IMMEDIATE cause the database connection to start a new write immediately, without waiting for a write statement. The BEGIN \#
    IMMEDIATE might fail with SQLITE_BUSY if another write transaction is already active on another database connection.

    EXCLUSIVE is similar to IMMEDIATE in that a write transaction is started immediately. EXCLUSIVE and IMMEDIATE are the same \#
    in WAL mode, but in other journaling modes, EXCLUSIVE prevents other database connections from reading the database while \#
    the transaction is underway.

    2.3. Implicit versus explicit transactions

    An implicit transaction (a transaction that is started automatically, not a transaction started by BEGIN) is committed \#
    automatically when the last active statement finishes. A statement finishes when its last cursor closes, which is \#
    guaranteed to happen when the prepared statement is reset or finalized. Some statements might "finish" for the purpose of \#
    transaction control prior to being reset or finalized, but there is no guarantee of this. The only way to ensure that a \#
    statement has "finished" is to invoke sqlite3_reset() or sqlite3_finalize() on that statement. An open sqlite3_blob used \#
    for incremental BLOB I/O also counts as an unfinished statement. The sqlite3_blob finishes when it is closed.

    The explicit COMMIT command runs immediately, even if there are pending SELECT statements. However, if there are pending \#
    write operations, the COMMIT command will fail with an error code SQLITE_BUSY.

    An attempt to execute COMMIT might also result in an SQLITE_BUSY return code if an another thread or process has an open \#
    read connection. When COMMIT fails in this way, the transaction remains active and the COMMIT can be retried later after \#
    the reader has had a chance to clear.

    In very old versions of SQLite (before version 3.7.11 - 2012-03-20) the ROLLBACK will fail with an error code SQLITE_BUSY \#
    if there are any pending queries. In more recent versions of SQLite, the ROLLBACK will proceed and pending statements will \#
    often be aborted, causing them to return an SQLITE_ABORT or SQLITE_ABORT_ROLLBACK error. In SQLite version 3.8.8 \#
    (2015-01-16) and later, a pending read will continue functioning after the ROLLBACK as long as the ROLLBACK does not modify \#
    the database schema.

    If PRAGMA journal_mode is set to OFF (thus disabling the rollback journal file) then the behavior of the ROLLBACK command \#
    is undefined.
    """#

  /// SQLite documentation, application-defined functions.
  static let applicationDefinedFunctions = #"""
    The maximum length of a SQL function name is 255 bytes of UTF8. Any attempt to create a function with a longer name will \#
    result in an SQLITE_MISUSE error.

    The SQL function creation interfaces may be called multiple times with the same function name. If two calls have the same \#
    function number but a different number of arguments, for example, then two variants of the SQL function will be registered, \#
    each taking a different number of arguments.

    nArg → The 3rd parameter is always the number of arguments that the function accepts. The value must be an integer between \#
    -1 and SQLITE_MAX_FUNCTION_ARG (default value: 127). A value of -1 means that the SQL function is a variadic function that \#
    can take any number of arguments between 0 and SQLITE_MAX_FUNCTION_ARG.

    eTextRep → The 4th parameter is a 32-bit integer flag whose bits convey various properties about the new function. The \#
    original purpose of this parameter was to specify the preferred text encoding for the function, using one of the following \#
    constants:

    SQLITE_UTF8

    SQLITE_UTF16BE

    SQLITE_UTF16LE

    All custom SQL functions will accept text in any encoding. Encoding conversions will happen automatically. The preferred \#
    encoding merely specifies the encoding for which the function implementation is optimized. It is possible to specify \#
    multiple functions with the same name and the same number of arguments, but different preferred encodings and different \#
    callbacks used to implement the function, and SQLite will chose the set of callbacks for which the input encodings most \#
    closely match the preferred encoding.

    The 4th parameter as more recently be extended with additional flag bits to convey additional information about the \#
    function. The additional bits include:

    SQLITE_DETERMINISTIC

    SQLITE_DIRECTONLY

    SQLITE_INNOCUOUS

    SQLITE_SUBTYPE

    Additional bits may be added in future versions of SQLite.

    pApp → The 5th parameter is an arbitrary pointer that is passed through into the callback routines. SQLite itself does \#
    nothing with this pointer, except to make it available to the callbacks, and to pass it into the destructor when the \#
    function is unregistered.

    2.2. Multiple Calls To sqlite3_create_function() For The Same Function

    It is common for an application to invoke sqlite3_create_function() multiple times for the same SQL function. For example, \#
    if an SQL function can take either 2 or 3 arguments, then sqlite3_create_function() would be invoked once for the \#
    2-argument version and a second time for the 3-argument version. The underlying implementation (the callbacks) can be \#
    different for both variants.

    An application can also register multiple SQL functions with the same name and same number of arguments, but a different \#
    preferred text encoding. In that case, SQLite will invoke the function using the callbacks for the version whose preferred \#
    text encoding most closely matches the database text encoding. In this way, multiple implementations of the same function \#
    can be provided that are optimized for UTF8 or UTF16.

    If multiple calls to sqlite3_create_function() specify the same function name, and the same number of arguments, and the \#
    same preferred text encoding, then the callbacks and other parameters of the second call overwrite the first, and the \#
    destructor callback from the first call (if it exists) is invoked.

    2.3. Callbacks

    SQLite evaluates an SQL function by invoking callback routines.

    2.3.1. The Scalar Function Callback

    Scalar SQL functions are implemented by a single callback in the xFunc parameter to sqlite3_create_function(). The \#
    following code demonstrations the implementation of a "noop(X)" scalar SQL function that merely returns its argument:

    static void noopfunc(
      sqlite3_context *context,
      int argc,
      sqlite3_value **argv
    ){
      assert( argc==1 );
      sqlite3_result_value(context, argv[0]);
    }
    """#

  /// SQLite documentation, the OS interface.
  static let virtualFileSystem = #"""
    SQLite is able to use multiple VFSes at the same time. Each individual database connection is associated with just one VFS. \#
    But if you have multiple database connections, each connection can be associated with a different VFS.

    There is always a default VFS. The legacy interfaces sqlite3_open() and sqlite3_open16() always use the default VFS. The \#
    new interface for creating database connections, sqlite3_open_v2(), allows you to specify which VFS you want to use by name.

    2.1.1 Registering New VFS Objects

    Standard builds of SQLite for Unix or Windows come with a single VFS named "unix" or "win32", as appropriate. This one VFS \#
    is also the default. So if you are using the legacy open functions, everything will continue to operate as it has before. \#
    The change is that an application now has the flexibility of adding new VFS modules to implement a customized OS layer. The \#
    sqlite3_vfs_register() API can be used to tell SQLite about one or more application-defined VFS modules:

    int sqlite3_vfs_register(sqlite3_vfs*, int makeDflt);

    Applications can call sqlite3_vfs_register() at any time, though of course a VFS needs to be registered before it can be \#
    used. The first argument is a pointer to a customized VFS object that the application has prepared. The second argument is \#
    true to make the new VFS the default VFS so that it will be used by the legacy sqlite3_open() and sqlite3_open16() APIs. If \#
    the new VFS is not the default, then you will probably have to use the new sqlite3_open_v2() API to use it. Note, however, \#
    that if a new VFS is the only VFS known to SQLite (if SQLite was compiled without its usual default VFS or if the \#
    precompiled default VFS was removed using sqlite3_vfs_unregister()) then the new VFS automatically becomes the default VFS \#
    regardless of the makeDflt argument to sqlite3_vfs_register().

    Standard builds include the default "unix" or "win32" VFSes. But if you use the -DOS_OTHER=1 compile-time option, then \#
    SQLite is built without a default VFS. In that case, the application must register at least one VFS prior to calling \#
    sqlite3_open(). This is the approach that embedded applications should use. Rather than modifying the SQLite source to \#
    insert an alternative OS layer as was done in prior releases of SQLite, instead compile an unmodified SQLite source file \#
    (preferably the amalgamation) with the -DOS_OTHER=1 option, then invoke sqlite3_vfs_register() to define the interface to \#
    the underlying filesystem prior to creating any database connections.

    2.1.2 Additional Control Over VFS Objects

    The sqlite3_vfs_unregister() API is used to remove an existing VFS from the system.

    int sqlite3_vfs_unregister(sqlite3_vfs*);

    The sqlite3_vfs_find() API is used to locate a particular VFS by name. Its prototype is as follows:

    sqlite3_vfs *sqlite3_vfs_find(const char *zVfsName);

    The argument is the symbolic name for the desired VFS. If the argument is a NULL pointer, then the default VFS is returned. \#
    The function returns a pointer to the sqlite3_vfs object that implements the VFS. Or it returns a NULL pointer if no object \#
    could be found that matched the search criteria.

    2.1.3 Modifications Of Existing VFSes

    Once a VFS has been registered, it should never be modified. If a change in behavior is required, a new VFS should be \#
    registered. The application could, perhaps, use sqlite3_vfs_find() to locate the old VFS, make a copy of the old VFS into a \#
    new sqlite3_vfs object, make the desired modifications to the new VFS, unregister the old VFS, then register the new VFS in \#
    its place. Existing database connections would continue to use the old VFS even after it is unregistered, but new database \#
    connections would use the new VFS.

    2.1.4 The VFS Object

    A VFS object is an instance of the following structure:
    """#

  /// SQLite documentation, floating point numbers.
  static let floatingPoint = #"""
    That number is very close to 47.49, but it is not exact. It is a little too big. If we reduce M by one to 6683623321994526 \#
    so that we have the next smaller possible binary64 value, we get:

    47.4899999999999948840923025272786617279052734375

    This second number is too small. The first number is closer to the desired value of 47.49, so that is the one that gets \#
    used. But it is not exact. Most decimal values work this way in IEEE 754. Remember the key point we made above:

    Floating point values are approximate.

    If you remember nothing else about floating-point values, please don't forget this one key idea.

    1.2.2. Is it close enough?

    The precision provided by IEEE 754 Binary64 is sufficient for most computations. For example, if "47.49" represents a price \#
    and inflation is running at 2% per year, then the price is going up by about 0.0000000301 dollars per second. The error in \#
    the recorded value of 47.49 represents about 66 nanoseconds worth of inflation. So if the 47.49 price is exact when you \#
    enter it, then the effects of inflation will cause the true value to exactly equal the value actually stored \#
    (47.4900000000000019895196601282805204391479492187) in less than one ten-millionth of a second. Surely that level of \#
    precision is sufficient for most purposes?

    2. Extensions For Dealing With Floating Point Numbers

    2.1. The ieee754.c Extension

    The ieee754 extension converts a floating point number between its binary64 representation and the M×2E format. In other \#
    words in the expression:

    F = M × 2E

    The ieee754 extension converts between F and (M,E) and back again.

    The ieee754 extension is not part of the amalgamation, but it is included by default in the CLI. If you want to include the \#
    ieee754 extension in your application, you will need to compile and load it separately.

    2.1.1. The ieee754() function
    """#
}
